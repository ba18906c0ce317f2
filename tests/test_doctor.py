"""Every symptom of docs/troubleshooting.md: a well device is broken in that one way, and `check` says what stands there.

The document is the list: a row without a case fails, and so does a case without a row.
"""

import contextlib
import io
import json
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from world.boards import put_board
from world.disk import mounted
from world.enrollee import own_log
from world.patient import LARDER, SECOND, Patient
from world.server import Step, answer, close, raw
from world.users import as_nobody, let_in

from agent import BUILD_EPOCH, cli, pem
from agent.certificate import Certificate
from agent.checks import Check, accounts, buses, clock, disk, identity, network, sensors, units
from agent.checks.network import Knock
from agent.clock import Stamp
from agent.config import SensorConfig
from agent.devshield.authority import Authority
from agent.devshield.i2c_wire import I2cWire, add_bus, install, remove_chip
from agent.devshield.onewire_tree import crc8
from agent.devshield.shield import Setup, Shield
from agent.errors import Misconfigured
from agent.identity import Identity, IdentityState
from agent.identity_store import IdentityStore
from agent.sampler import Taken
from agent.spool import Limits, Spool

DOCUMENT: Final = Path(__file__).parent.parent / "docs/troubleshooting.md"
NOW: Final = datetime.now(UTC)
DAY: Final = timedelta(days=1)
Case = Callable[[Patient], "list[Check] | None"]
"""Breaks the device, or gives the lines itself where the world cannot be made to show it."""

CASES: Final[dict[str, Case]] = {}
WORLDS: Final[dict[str, Callable[[Patient], contextlib.AbstractContextManager[object]]]] = {}
skew = [0.0]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the document: what `check` prints, and the fix that it names."""

    mark: str
    says: str
    fix: str


def rows(markdown: str) -> list[Row]:
    """The rows of all tables whose first cell is a line of `check`."""
    found = []
    for line in markdown.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        said = re.fullmatch(r"`(OK|WARN|FAIL) (.*)`", cells[0])
        if said:
            fix = re.findall(r"`([^`]+)`", cells[-1])
            found.append(Row(said[1].lower(), said[2], fix[0] if fix else ""))
    return found


ROWS: Final = {row.says: row for row in rows(DOCUMENT.read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def shield(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shield]:
    """One for all; its clock can be put forward, because a revocation takes a second to arrive."""
    take_out = install(I2cWire())
    setup = Setup(tmp_path_factory.mktemp("shield"), rule="strict")
    with Shield(setup, now=lambda: time.time() + skew[0]) as made:
        yield made
    take_out()


@pytest.fixture
def patient(tmp_path: Path, shield: Shield) -> Patient:
    return Patient(tmp_path / "device", shield)


def told(row: Row, found: list[Check]) -> bool:
    """Whether one of the lines is the row's; `…` in it stands for anything."""
    pattern = ".*?".join(re.escape(part) for part in row.says.split("…"))
    return any(
        re.match(pattern, f"{each.name}: {each.saw}") and each.result == row.mark and row.fix in (each.fix or "")
        for each in found
    )


@pytest.mark.parametrize("says", ROWS)
def test_check_tells_the_symptom_with_its_fix(patient: Patient, says: str) -> None:
    row, case, world = ROWS[says], CASES.get(says), WORLDS.get(says)
    assert case or world, "the document has a symptom that nobody has tried"
    if world:
        with world(patient):
            found = patient.check()
    else:
        assert case
        given = case(patient)
        found = patient.check("--offline") if given is None else given
    assert told(row, found), "\n".join(map(str, found))


def test_each_case_is_in_the_document() -> None:
    assert not ({*CASES, *WORLDS} - set(ROWS))


def test_a_well_device_has_none_of_the_symptoms(patient: Patient) -> None:
    found = [each for each in patient.check() if each.result != "ok"]
    assert [each.name for each in found] == ["daemon"]


def case(says: str) -> Callable[[Case], Case]:
    """A symptom that the local layers show."""

    def add(function: Case) -> Case:
        CASES[says] = function
        return function

    return add


def world(
    says: str,
) -> Callable[[Callable[[Patient], Iterator[object]]], Callable[[Patient], Iterator[object]]]:
    """A symptom that needs something running beside the device."""

    def add(function: Callable[[Patient], Iterator[object]]) -> Callable[[Patient], Iterator[object]]:
        WORLDS[says] = contextlib.contextmanager(function)
        return function

    return add


# --- configuration


@case("configuration: …config.toml: is not there")
def _(patient: Patient) -> list[Check]:
    return _checked_as_it_is(patient)


@case("configuration: …uplink.timeout_second: …")
def _(patient: Patient) -> list[Check]:
    patient.config.write_text('[uplink]\nurl = "https://a.test"\ntimeout_second = 3\n')
    return _checked_as_it_is(patient)


@case("configuration: uplink.url is still the example's…")
def _(patient: Patient) -> None:
    patient.values["url"] = "https://shield.example.com/temps"


@case("configuration: …cannot be read by the user sensor-agent…")
def _(patient: Patient) -> list[Check]:
    patient.put("etc/passwd", "sensor-agent:x:4711:4711::/:/bin/false\n")
    patient.check("--offline")
    patient.config.chmod(0o600)
    return patient.check("--offline")


@pytest.mark.parametrize("closed", ["conf.d", "conf.d/site.toml", "roots.pem"])
def test_a_file_that_the_service_cannot_read_is_told_to_root(patient: Patient, closed: str) -> None:
    patient.put("etc/passwd", "sensor-agent:x:4711:4711::/:/bin/false\n")
    let_in(patient.config.parent)
    roots = patient.config.parent / "roots.pem"
    roots.write_bytes(patient.authority.certificate_pem)
    patient.values["ca_file"] = str(roots)
    site = patient.config.parent / "conf.d/site.toml"
    site.parent.mkdir()
    site.touch()
    patient.config.parent.joinpath(closed).chmod(0o700)
    (line,) = (each for each in patient.check("--offline") if each.name == "configuration")
    assert (line.result, f"{closed} cannot be read by the user sensor-agent" in line.saw) == ("fail", True)


@case("sensors: none is configured…")
def _(patient: Patient) -> None:
    patient.sensors = ""


@case("sensors: …simulated, and sent like true readings")
def _(patient: Patient) -> None:
    patient.sensors = '[[sensors]]\nname = "pretended"\ndriver = "simulated"\n'


def _checked_as_it_is(patient: Patient) -> list[Check]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), own_log():
        assert cli.main(["--config", str(patient.config), "check", "--json"]) == 78
    return [Check(**each) for each in json.loads(out.getvalue())["checks"]]


# --- the way to the sensors


@case("1-wire: 1-Wire is off …lacks dtoverlay=w1-gpio")
def _(patient: Patient) -> None:
    shutil.rmtree(patient.root / "sys/bus/w1")
    patient.put("boot/firmware/config.txt", "dtparam=spi=on\n")


@case("1-wire: 1-Wire is off …although /boot/firmware/config.txt has dtoverlay=w1-gpio")
def _(patient: Patient) -> None:
    shutil.rmtree(patient.root / "sys/bus/w1")
    patient.put("boot/firmware/config.txt", "dtoverlay=w1-gpio\n")


@case("1-wire: the 1-Wire line floats: it makes up 00-…")
def _(patient: Patient) -> None:
    patient.tree.remove("28-00000586475d")
    patient.tree.add("00-400000000000")


@case("1-wire: w1_bus_master1 has no sensor on it")
def _(patient: Patient) -> None:
    patient.tree.remove("28-00000586475d")


@case("1-wire: …has no w1_slave file: the kernel module w1_therm is not loaded")
def _(patient: Patient) -> None:
    (patient.root / "sys/devices/w1_bus_master1/28-00000586475d/w1_slave").unlink()


@case("1-wire: …takes its power from the data line…")
def _(patient: Patient) -> None:
    patient.put("sys/devices/w1_bus_master1/28-00000586475d/ext_power", "0\n")


@case("1-wire: 28-…may be a clone of a DS18B20…")
def _(patient: Patient) -> None:
    patient.tree.add("28-0316a2795bff")


@case("i2c-1: i2c-1 is off …lacks dtparam=i2c_arm=on")
def _(patient: Patient) -> None:
    (patient.root / "dev/i2c-1").unlink()
    patient.put("boot/firmware/config.txt", "dtparam=spi=on\n")


@case("i2c-1: i2c-1 is on, but /dev/i2c-1 is missing: module i2c-dev is not loaded")
def _(patient: Patient) -> None:
    (patient.root / "dev/i2c-1").unlink()
    patient.put("sys/bus/i2c/devices/i2c-1/name", "bcm2835\n")


@case("i2c-1: /dev/i2c-1 is closed to its group…")
def _(patient: Patient) -> None:
    (patient.root / "dev/i2c-1").chmod(0o600)


@case("i2c-1: /dev/i2c-1 belongs to group root, and the service is in i2c")
def _(patient: Patient) -> None:
    patient.put("etc/group", f"root:x:{os.getgid()}:\ni2c:x:{os.getgid() + 1}:sensor-agent\n")


@case("i2c-1: …at 400 kHz, fast…")
def _(patient: Patient) -> None:
    patient.put("sys/class/i2c-adapter/i2c-1/of_node/clock-frequency")
    (patient.root / "sys/class/i2c-adapter/i2c-1/of_node/clock-frequency").write_bytes((400_000).to_bytes(4, "big"))


# --- what sensors say


@case("sensor freezer: unreadable: no_data…")
def _(patient: Patient) -> None:
    patient.tree.empty("28-00000586475d")


@case("sensor freezer: unreadable: crc: the kernel saw a wrong checksum…")
def _(patient: Patient) -> None:
    patient.tree.frame("28-00000586475d", bytes.fromhex("9101 4b46 7fff 0f10 00"))


@case("sensor freezer: unreadable: crc: …ff ff ff ff ff ff ff ff ff…")
def _(patient: Patient) -> None:
    patient.tree.frame("28-00000586475d", b"\xff" * 9)


@case("sensor freezer: implausible: bus_shorted…")
def _(patient: Patient) -> None:
    patient.tree.shorted("28-00000586475d")


@case("sensor freezer: implausible: power_on_reset: 85.0 °C…")
def _(patient: Patient) -> None:
    patient.tree.frame("28-00000586475d", bytes.fromhex("50054b467fff0c101c"))


@case("sensor freezer: implausible: insufficient_power: 127.94 °C…")
def _(patient: Patient) -> None:
    patient.tree.frame("28-00000586475d", _with_crc("ff074b467fff0c10"))


@case("sensor freezer: implausible: out_of_range…")
def _(patient: Patient) -> None:
    patient.tree.frame("28-00000586475d", _with_crc("11f94b467fff0f10"))  # −110.9, a loose pin


@case("sensor freezer: absent: absent: …is not on the bus")
def _(patient: Patient) -> None:
    patient.tree.add(LARDER)
    patient.tree.remove("28-00000586475d")


@case("bus w1_bus_master1: all 2 sensors on it fail…")
def _(patient: Patient) -> None:
    patient.tree.add(LARDER)
    patient.tree.empty(LARDER)
    patient.tree.empty("28-00000586475d")
    patient.sensors += SECOND


def _with_crc(eight: str) -> bytes:
    data = bytes.fromhex(eight)
    return data + bytes((crc8(data),))


@case("sensor room: absent: absent: nothing answers at 0x48 on i2c-1 (errno 121…")
def _(patient: Patient) -> None:
    remove_chip(patient.root, 0x48)


def _errno(number: int) -> Case:
    return lambda patient: patient.chip(f"error\n{number}\n")


CASES["sensor room: absent: absent: nothing answers at 0x48 on i2c-1 (errno 6,…"] = _errno(6)
CASES["sensor room: unreadable: io: …(errno 5,…"] = _errno(5)
CASES["sensor room: unreadable: bus_stuck: i2c-1 is held…"] = _errno(110)
CASES["sensor room: unreadable: io: …(errno 11,…"] = _errno(11)
CASES["sensor room: unreadable: io: …(errno 74,…"] = _errno(74)
CASES["sensor room: misconfigured: busy: …(errno 16,…"] = _errno(16)
CASES["sensor room: misconfigured: unsupported: …(errno 95,…"] = _errno(95)
CASES["sensor room: misconfigured: no_permission: …(errno 13,…"] = _errno(13)


@case("sensor room: misconfigured: no_bus: …(errno 2,…")
def _(patient: Patient) -> None:
    (patient.root / "dev/i2c-1").unlink()


@case("sensor room: misconfigured: claimed: 0x48 on i2c-1 is claimed by kernel driver 'tmp102'…")
def _(patient: Patient) -> None:
    patient.put("sys/bus/i2c/drivers/tmp102/bind")
    (patient.root / "sys/bus/i2c/devices/1-0048").mkdir(parents=True)
    (patient.root / "sys/bus/i2c/devices/1-0048/driver").symlink_to("../../drivers/tmp102")


@contextlib.contextmanager
def _as_somebody_outside_the_group(group: int) -> Iterator[Path]:
    """A root with the service in group 4712, and a bus that only that one may open; not tmp_path, which nobody else enters."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        root.chmod(0o755)
        for file in ("etc", "dev", "sys"):
            (root / file).mkdir(mode=0o755)
        (root / "etc/passwd").write_text("sensor-agent:x:4711:4711::/:/bin/false\n")
        (root / "etc/group").write_text("i2c:x:4712:\n")
        add_bus(root)
        os.chown(root / "dev/i2c-1", 0, group)
        (root / "dev/i2c-1").chmod(0o660)
        with as_nobody():
            yield root


ROOM: Final = SensorConfig(name="room", driver="tmp102", bus=1)


@case("i2c-1: …may not be opened by this user")
def _(_: Patient) -> list[Check]:
    with _as_somebody_outside_the_group(4712) as root:
        return list(buses.i2c([ROOM], root, accounts.service_account(root)))


@case("sensor room: may not be read by this user")
def _(_: Patient) -> list[Check]:
    closed = Misconfigured("no_permission", "errno 13")
    with _as_somebody_outside_the_group(4712) as root:
        hidden = [bus for bus in ["i2c-1"] if buses.hidden(root, bus, accounts.service_account(root))]
        return list(
            sensors.sensors([Taken("room", Stamp(0, 0, trusted=True), error=closed)], {"room": "i2c-1"}, hidden)
        )


def test_a_bus_that_the_service_may_not_open_either_is_no_matter_of_this_user() -> None:
    with _as_somebody_outside_the_group(4713) as root:
        assert not buses.hidden(root, "i2c-1", accounts.service_account(root))
        assert next(buses.i2c([ROOM], root, accounts.service_account(root))).result == "fail"


# --- clock


@case("clock: it says 1970-01-01 00:00, before this package was made…")
def _(_: Patient) -> list[Check]:
    return list(clock.clock(clock.ClockFacts(0.0, synchronised=True), hold=True))


@case("clock: not synchronised by systemd-timesyncd…")
def _(patient: Patient) -> None:
    (patient.root / "run/systemd/timesync/synchronized").unlink()
    patient.put("usr/lib/systemd/systemd-timesyncd")


@case("clock: not synchronised, and no time daemon is installed…")
def _(patient: Patient) -> None:
    (patient.root / "run/systemd/timesync/synchronized").unlink()


@case("rtc: the battery clock says …s off")
def _(patient: Patient) -> None:
    patient.put("sys/class/rtc/rtc0/since_epoch", f"{BUILD_EPOCH - 86_400 * 365}\n")


@case("rtc: none: fake-hwclock has the board boot at the time of its last hour")
def _(patient: Patient) -> None:
    patient.put("etc/fake-hwclock.data", "2026-11-25 03:17:01\n")


# --- disk


@world("disk: …is read-only")
def _(patient: Patient) -> Iterator[object]:
    with mounted(patient.home / "disk", size=4 << 20) as made:
        patient.values["spool"] = str(made.path / "spool.db")
        made.remount("ro")
        yield None


@world("disk: …has no room left")
def _(patient: Patient) -> Iterator[object]:
    with mounted(patient.home / "disk", size=4 << 20) as made:
        patient.values["spool"] = str(made.path / "spool.db")
        made.fill()
        yield None


@case("disk: …is in memory (overlay)…")
def _(patient: Patient) -> None:
    patient.put("proc/mounts", "overlay / overlay rw,relatime 0 0\n/dev/mmcblk0p1 /boot vfat rw 0 0\n")


@case("disk: …is mounted with barrier=0: a power cut can damage it")
def _(patient: Patient) -> None:
    patient.put("proc/mounts", "/dev/root / ext4 rw,noatime,barrier=0 0 0\n")


@world("spool: …MB free, too little for …readings")
def _(patient: Patient) -> Iterator[object]:
    with mounted(patient.home / "disk", size=4 << 20) as made:
        patient.values["spool"] = str(made.path / "spool.db")
        Spool(made.path / "spool.db", limits=Limits(max_readings=100)).close()
        yield None


@case("spool: …is closed to the user sensor-agent…")
def _(patient: Patient) -> None:
    patient.put("etc/passwd", "root:x:0:0::/:/bin/sh\nsensor-agent:x:4711:4711::/:/bin/false\n")
    for parent in patient.spool.parents[1:]:
        with contextlib.suppress(PermissionError):
            parent.chmod(parent.stat().st_mode | 0o111)


@case("spool: …may not be seen by this user")
def _(patient: Patient) -> list[Check]:
    with tempfile.TemporaryDirectory() as directory:  # not tmp_path, which only its owner may enter
        Path(directory).chmod(0o755)
        state = Path(directory, "state")
        state.mkdir(mode=0o700)
        with as_nobody():
            return list(disk.spool(state / "spool.db", patient.root, None, max_readings=1))


@case("spool: …spool.db…not touched…")
def _(patient: Patient) -> None:
    patient.spool.write_bytes(b"somebody's diary\n" * 100)


@world("identity disk: …is read-only")
def _(patient: Patient) -> Iterator[object]:
    with mounted(patient.home / "disk", size=4 << 20) as made:
        patient.store.symlink_to(made.path)
        made.remount("ro")
        yield None


# --- identity


@case("identity: no certificate at …")
def _(patient: Patient) -> None:
    patient.cert.unlink()


@case("identity: the certificate expired on …")
def _(patient: Patient) -> None:
    patient.certified(NOW - 60 * DAY, NOW - DAY)


@case("identity: the certificate …is not for the key …")
def _(patient: Patient) -> None:
    patient.request()


@case("identity: …has its certificate in the middle of a line…")
def _(patient: Patient) -> None:
    text = patient.cert.read_text()
    patient.cert.write_text('{"result": {"certificate": ' + text[text.index("-----BEGIN") :])


@case("identity: …is encrypted, and nobody is there to be asked…")
def _(patient: Patient) -> None:
    body = "MIIB" * 16
    patient.key.write_text(f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}\n-----END ENCRYPTED PRIVATE KEY-----\n")


@case("identity: …cannot be read: …")
def _(patient: Patient) -> None:
    patient.key.unlink()
    patient.key.mkdir()


@case("identity: the pair may not be seen by this user…")
def _(patient: Patient) -> list[Check]:
    closed = Identity(IdentityState.BROKEN, detail=f"{patient.key} (mode 0600) cannot be read: Permission denied")
    how = identity.Issuing(
        able=True, validity_days=1, token_file=patient.token, wants_token=True, zone_token=True, zone_missing=False
    )
    return list(identity.identity(closed, how, now=NOW, exposed=None, is_root=False))


@case("identity: …was made for another board…")
def _(patient: Patient) -> None:
    put_board(patient.root, serial="1000ef01", card="bbbb", machine="b" * 32)


@case("board: another serial number than at enrollment")
def _(patient: Patient) -> None:
    put_board(patient.root, serial="1000ef01", card="aaaa", machine="a" * 32)


@case("identity: …4 days left…")
def _(patient: Patient) -> None:
    patient.certified(NOW - 360 * DAY, NOW + 5 * DAY)


@case("identity: …is valid from …on, later than this clock has it")
def _(patient: Patient) -> None:
    patient.certified(NOW + DAY, NOW + 366 * DAY)


@case("identity: …(of 30 days, 365 were asked for)")
def _(patient: Patient) -> None:
    patient.certified(NOW, NOW + 30 * DAY)


@case("key: …may be read or written by others (mode 0644)…")
def _(patient: Patient) -> None:
    patient.key.chmod(0o644)


@case("issuer: enroll.renew_url is empty, and a registration authority renews nothing without it")
def _(patient: Patient) -> None:
    patient.values |= {"zone_id": "", "issuer_url": "https://registration.test:8443/client/v4"}


@case("issuer: enroll.zone_id is empty, and Cloudflare's API signs for a zone")
def _(patient: Patient) -> None:
    patient.cert.unlink()
    patient.values |= {"zone_id": "", "issuer_url": "https://api.cloudflare.com/client/v4"}


@case("token: none at …and this device has no certificate")
def _(patient: Patient) -> None:
    patient.cert.unlink()


@case("token: …may be read by others (mode 0644)")
def _(patient: Patient) -> None:
    patient.token.touch(mode=0o644)


@case("token: …belongs to user 4711, and the units may read root's alone")
def _(patient: Patient) -> None:
    if os.geteuid():
        pytest.skip("needs root, to give a file away")
    patient.token.touch(mode=0o600)
    os.chown(patient.token, 4711, 4711)


@case("token: …is still here, and signs for the whole zone")
def _(patient: Patient) -> None:
    patient.token.touch(mode=0o600)


@case("enrollment: a request was sent and is not answered, or waits for approval")
def _(patient: Patient) -> None:
    (patient.store / "pending").mkdir(parents=True)
    for name in ("wanted.json", "asked.json"):
        (patient.store / "pending" / name).touch()


@case("enrollment: a certificate has come and is not in force…")
def _(patient: Patient) -> None:
    (patient.store / "pending").mkdir(parents=True)
    (patient.store / "pending/certificate.pem").touch()


@case("enrollment: one is at work now…")
def _(patient: Patient) -> list[Check]:
    with IdentityStore(patient.store).lock():
        patient.put("proc/locks", Path("/proc/locks").read_text())
        return patient.check("--offline")


# --- the way to the shield


@world("network: the name …leads nowhere…")
def _(patient: Patient) -> Iterator[object]:
    patient.values["url"] = "https://shield.invalid/temps"
    yield None


@world("network: …takes no connection …refused…")
def _(patient: Patient) -> Iterator[object]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    patient.values["url"] = f"https://127.0.0.1:{port}/temps"
    yield None


@case("network: …takes no connection …timed out…")
def _(_: Patient) -> list[Check]:
    return [network.judge_knocks(_way(), [Knock("192.0.2.1", 4.0, "timed out")])]


@case("network: …its IPv6 addresses lead nowhere…")
def _(_: Patient) -> list[Check]:
    knocks = [Knock("2001:db8::1", 4.0, "timed out"), Knock("192.0.2.1", 0.02)]
    return [network.judge_knocks(_way(), knocks)]


def _way() -> network.Way:
    return network.way("network", "https://shield.test/temps", ca_file="/ca.pem")


@world("tls: …does not speak TLS: the login page of a network…")
def _(patient: Patient) -> Iterator[object]:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n"
    with patient.facing(close, before_tls=raw(redirect)):
        yield None


def _server_of(patient: Patient, begin: datetime, end: datetime) -> tuple[bytes, bytes]:
    key = pem.new_key("p256")
    request = pem.signing_request(key, name="127.0.0.1", subject={})
    return key, patient.authority.sign(request, not_before=begin, not_after=end, usage="server")


@world("tls: the server's certificate is not yet valid by this device's clock…")
def _(patient: Patient) -> Iterator[object]:
    with patient.facing(close, pair=_server_of(patient, NOW + DAY, NOW + 9 * DAY)):
        yield None


@world("tls: the server's certificate has expired, and this clock is right")
def _(patient: Patient) -> Iterator[object]:
    with patient.facing(close, pair=_server_of(patient, NOW - 9 * DAY, NOW - DAY)):
        yield None


@world("tls: nobody in …vouches for the server…")
def _(patient: Patient) -> Iterator[object]:
    (patient.home / "other").mkdir()
    with patient.facing(close, pair=Authority.create(patient.home / "other").issue_server(["127.0.0.1"])):
        yield None


@world("tls: the server's certificate is not for …")
def _(patient: Patient) -> Iterator[object]:
    with patient.facing(close, pair=patient.authority.issue_server(["elsewhere.test"])):
        yield None


@world("tls: the connection ends in the handshake…")
def _(patient: Patient) -> Iterator[object]:
    with patient.facing(close, before_tls=close):
        yield None


@world("tls: the proxy does not let us through…")
def _(patient: Patient) -> Iterator[object]:
    with patient.facing(close, before_tls=raw(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as server:
        patient.values |= {"url": patient.shield.url, "proxy": f"http://127.0.0.1:{server.port}"}
        yield None


@world("issuer: …takes no connection…")
def _(patient: Patient) -> Iterator[object]:
    patient.cert.unlink()
    patient.values["issuer_url"] = "https://127.0.0.1:9"
    yield None


# --- the shield itself


@world("rule: takes requests without a certificate…")
def _(patient: Patient) -> Iterator[object]:
    with patient.facing(answer(200, b"[]")):
        yield None


@world("rule: could not be tried: HTTP 503…")
def _(patient: Patient) -> Iterator[object]:
    with patient.facing(answer(503)):
        yield None


@world("rule: could not be tried: HTTP 302…")
def _(patient: Patient) -> Iterator[object]:
    with patient.facing(answer(302, location="https://elsewhere.test/")):
        yield None


@world("shield: it refuses this device as one without a certificate…")
def _(patient: Patient) -> Iterator[object]:
    revoked = next(
        each for each in patient.shield.issued.all() if each.fields["certificate"] in patient.cert.read_text()
    )
    patient.shield.issued.set_revoked(revoked.fields["id"], revoked=True)
    skew[0] += 2.0
    yield None


@world("shield: it knows this certificate and refuses it…")
def _(patient: Patient) -> Iterator[object]:
    with patient.facing(*_bare(), answer(403, b'{"error": "client_certificate_not_listed"}')):
        yield None


@world("shield: it refuses this device by a rule that is not about certificates…")
def _(patient: Patient) -> Iterator[object]:
    with patient.facing(*_bare(), answer(403, b"error code: 1020", "text/plain", cf_ray="8a1b2c3d4e5f6a7b-FRA")):
        yield None


@world("shield: it ends TLS over this device's certificate…")
def _(patient: Patient) -> Iterator[object]:
    (patient.home / "other").mkdir()
    patient.certified(NOW - DAY, NOW + 300 * DAY, Authority.create(patient.home / "other"))
    with patient.facing(answer(200), client_ca=True, tls13=False):
        yield None


@world("shield: a web page answers…")
def _(patient: Patient) -> Iterator[object]:
    with patient.facing(*_bare(), answer(200, b"<html>Welcome</html>", "text/html")):
        yield None


@world("shield: it sends us elsewhere: HTTP 302…")
def _(patient: Patient) -> Iterator[object]:
    with patient.facing(*_bare(), answer(302, location="https://elsewhere.test/")):
        yield None


@world("shield: it cannot answer now: HTTP 429…")
def _(patient: Patient) -> Iterator[object]:
    with patient.facing(*_bare(), answer(429, b"error code: 1015", "text/plain")):
        yield None


@world("shield: a GET is answered with HTTP 404…")
def _(patient: Patient) -> Iterator[object]:
    with patient.facing(*_bare(), answer(404)):
        yield None


def _bare() -> list[Step]:
    """The two answers to who shows no certificate."""
    return [answer(403, b"mTLS required", "text/plain")] * 2


# --- units and daemon


def _unit(text: str) -> Case:
    return lambda _: list(units.units(units.parse("LoadState=loaded\n" + text)))


CASES.update(
    {
        "unit: sensor-agent.service is inactive, disabled": _unit(
            "Id=sensor-agent.service\nActiveState=inactive\nSubState=dead\nUnitFileState=disabled\nNRestarts=0\n"
        ),
        "unit: sensor-agent.service is masked": _unit(
            "Id=sensor-agent.service\nActiveState=inactive\nSubState=dead\nUnitFileState=masked\nNRestarts=0\n"
        ),
        "unit: sensor-agent.service dies again and again…": _unit(
            "Id=sensor-agent.service\nActiveState=activating\nSubState=auto-restart\nResult=exit-code\nNRestarts=7\n"
        ),
        "unit: sensor-agent.service was restarted 9 times": _unit(
            "Id=sensor-agent.service\nActiveState=active\nSubState=running\nUnitFileState=enabled\nNRestarts=9\n"
        ),
        "unit: sensor-agent-renew.timer is inactive: the certificate is not renewed": _unit(
            "Id=sensor-agent.service\nActiveState=active\nSubState=running\nUnitFileState=enabled\nNRestarts=0\n\n"
            "Id=sensor-agent-renew.timer\nLoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\n"
        ),
    }
)


@case("daemon: it starts: its first readings are under way")
def _(_: Patient) -> list[Check]:
    starting = "LoadState=loaded\nId=sensor-agent.service\nActiveState=activating\nSubState=start\n"
    found = [units.daemon(last, units.parse(starting)) for last in (None, ({"state": "stopped"}, False))]
    assert found[0] == found[1]
    return found


@case("daemon: it runs and has written no status…")
def _(patient: Patient) -> list[Check]:
    return [units.daemon(None, {}, mute=patient.root / "run/sensor-agent")]


@case("daemon: not running")
def _(_: Patient) -> None:
    return


@pytest.mark.parametrize(
    ("state", "days", "command"),
    [
        (IdentityState.MISSING, 0, "sudo sensor-agent enroll #"),
        (IdentityState.ACTIVE, 10, "sudo sensor-agent enroll --force #"),
        (IdentityState.ACTIVE, 300, "sudo sensor-agent renew #"),
    ],
)
@pytest.mark.parametrize("by_hand", [False, True])
def test_a_request_under_way_is_ended_by_a_command_that_does_something(
    tmp_path: Path, state: IdentityState, days: int, command: str, by_hand: bool
) -> None:
    (tmp_path / "pending").mkdir()
    (tmp_path / "pending/wanted.json").touch()
    born = datetime(2026, 1, 1, tzinfo=UTC)
    says = Certificate("sensor-001", "7", born, born + timedelta(days=365), fingerprint_sha256="ab" * 32)
    now = born + timedelta(days=days)
    [found] = identity.under_way(tmp_path, tmp_path, Identity(state, None, says), now=now, by_hand=by_hand)
    assert found.fix is not None
    assert found.fix.startswith("sudo sensor-agent identity export-csr" if by_hand else command)
