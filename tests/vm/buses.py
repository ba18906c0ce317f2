"""The lines about one boot: the kernel's drivers, the packaged agent on them, and what becomes of faults."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from vm.board import CELLAR, FREEZER
from vm.guest import Guest
from vm.lines import Lines, until
from vm.stage import SENSORS, Stage

PATIENCE: Final = 120.0  # emulated CPUs, perhaps shared


@dataclass(slots=True)
class Buses:
    """Says the lines, in order. `true_values` is every value that a chip has had."""

    stage: Stage
    guest: Guest
    lines: Lines
    true_values: set[tuple[str, float]] = field(default_factory=set)

    def all(self) -> None:
        """Every line."""
        self._boots()
        self._delivers()
        self._follows()
        self._faults()
        wrong = {(r.value.sensor, r.value.celsius) for r in self.stage.receipts()} - self.true_values
        self.lines.holds("no value has arrived that no chip had", true=not wrong, saw=wrong)

    def _boots(self) -> None:
        guest, lines = self.guest, self.lines
        guest.run("systemctl", "is-system-running", "--wait")
        seconds = guest.sh("cut -d. -f1 /proc/uptime").strip()
        state = guest.run("systemctl", "is-system-running")[1].strip()
        lines.holds(
            f"boots: {guest.booted_seconds:.0f} s to the first service, {seconds} s until all is running",
            true=state == "running",
            saw=state + guest.run("systemctl", "--failed", "--no-legend")[1],
        )
        drivers = guest.sh(
            'readlink /sys/bus/i2c/devices/0-*/driver "$(readlink -f /sys/bus/i2c/devices/i2c-0)/../driver"'
        )
        wanted = {"ds2482", "lm75", "i2c-tiny-usb"}
        found = {line.rpartition("/")[2] for line in drivers.splitlines()}
        lines.holds("the kernel's drivers have the adapter, the bridge and a chip", true=found == wanted, saw=found)
        lines.within(
            "w1_therm has found both DS18B20 by a search on the wire",
            PATIENCE,
            lambda: "" if {FREEZER, CELLAR} <= set(guest.sh("ls /sys/bus/w1/devices").split()) else "not yet",
        )

    def _delivers(self) -> None:
        guest, lines, where = self.guest, self.lines, self.stage.shield.where
        ca, token = self.stage.shield.ca_file.read_text(), self.stage.shield.tokens.zone_file.read_text()
        guest.write("/etc/sensor-agent/ca.pem", ca)
        guest.write("/etc/sensor-agent/enroll-token", token, "600")
        guest.write("/etc/sensor-agent/config.toml", self.stage.configuration())
        lines.within(
            "a configuration that arrives starts the unit",
            PATIENCE,
            lambda: "" if guest.run("systemctl", "is-active", "sensor-agent")[0] == 0 else "not active",
        )
        code, said = guest.run("systemctl", "start", "sensor-agent-enroll.service")
        lines.holds(f"enrolls by its unit, at {where['tls']}'s edge", true=code == 0, saw=said)
        self._note()
        for sensor in SENSORS:
            lines.within(f"delivers: {sensor}", PATIENCE, self._arrives(sensor))
        code, said = guest.run("systemctl", "show", "--property=User,DevicePolicy,ActiveState", "sensor-agent")
        wanted = {"User=sensor-agent", "DevicePolicy=closed", "ActiveState=active"}
        lines.holds("as its own user, under its unit's sandbox", true=wanted == set(said.split()), saw=said)

    def _follows(self) -> None:
        """Temperatures changed from outside, below zero and at zero."""
        board = self.stage.board
        board.freezer.celsius, board.cellar.celsius, board.room.celsius = -24.9375, 0.0, -0.5
        board.outside.celsius, board.shelf.celsius = -39.9375, 30.5
        self._note()
        for sensor in SENSORS:
            self.lines.within(f"follows, with the sign: {sensor}", PATIENCE, self._arrives(sensor))

    def _faults(self) -> None:
        board = self.stage.board

        def wire(sensor_fault: str) -> tuple[Callable[[], None], Callable[[], None]]:
            def set_to(fault: str) -> None:
                board.freezer.fault = fault  # type: ignore[assignment]

            return lambda: set_to(sensor_fault), lambda: set_to("")

        def present(chip: object, value: bool) -> Callable[[], None]:
            return lambda: setattr(chip, "present", value)

        ones: list[tuple[str, set[str], tuple[Callable[[], None], Callable[[], None]]]] = [
            ("a DS18B20 whose checksum is wrong", {"freezer"}, wire("crc")),
            ("one that has been reset, and says 85", {"freezer"}, wire("85")),
            ("nine zero bytes, with a checksum that is right", {"freezer"}, wire("zeros")),
            ("one that is gone", {"freezer"}, wire("gone")),
            ("a chip that does not acknowledge", {"room"}, (present(board.room, False), present(board.room, True))),
            (
                "a kernel driver's chip that does not",
                {"shelf"},
                (present(board.shelf, False), present(board.shelf, True)),
            ),
            ("the bridge", {"freezer", "cellar"}, (present(board.bridge, False), present(board.bridge, True))),
            ("an adapter that answers nothing", set(SENSORS), (board.usb.stalled.set, board.usb.stalled.clear)),
            (
                "an adapter that is unplugged",
                set(SENSORS),
                (
                    lambda: void(self.guest.sh("systemctl stop board")),
                    lambda: void(self.guest.sh("systemctl start board")),
                ),
            ),
        ]
        for text, sensors, (spoil, mend) in ones:
            spoil()
            saw = until(PATIENCE, lambda wanted=sensors: "" if self._failing() == wanted else self._failing())  # type: ignore[misc]
            words = sorted({error.partition(":")[0] for error in self._errors().values()})
            self.lines.holds(
                f"{text}: {', '.join(sorted(sensors))} {'fails' if len(sensors) == 1 else 'fail'}, nobody else"
                f" ({', '.join(words)})",
                true=saw == "",
                saw=self._errors(),
            )
            mend()
            self.lines.within(" … and is back when it is mended", PATIENCE, lambda: self._errors() or "")
        code, said = self.guest.run("systemctl", "show", "--property=NRestarts", "--value", "sensor-agent")
        self.lines.holds(
            "the daemon has been the same process all the time", true=said.strip() == "0", saw=(code, said)
        )

    def _note(self) -> None:
        self.true_values |= set(self._measured().items())

    def _measured(self) -> dict[str, float]:
        """What the chips have now, as it is sent."""
        board = self.stage.board
        now = (
            board.freezer.celsius,
            board.cellar.celsius,
            board.room.celsius,
            board.outside.celsius,
            board.shelf.celsius,
        )
        return {sensor: float(f"{celsius:.3f}") for sensor, celsius in zip(SENSORS, now, strict=True)}

    def _arrives(self, sensor: str) -> Callable[[], object]:
        """Whether the chip's value of now has arrived; what the latest was, if not."""
        measured = self._measured()[sensor]

        def look() -> object:
            values = [each.value.celsius for each in self.stage.receipts() if each.value.sensor == sensor]
            report = self.guest.heard()
            return "" if values and values[-1] == measured else (values[-1:], report and (report.line, report.errors))

        return look

    def _errors(self) -> dict[str, str]:
        report = self.guest.heard()
        return dict(report.errors) if report else {}

    def _failing(self) -> set[str]:
        return set(self._errors())


def void(_: object) -> None:
    """For a function whose answer nobody wants."""
