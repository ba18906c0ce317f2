"""What the daemon does between two deliveries: wake-ups by thread and CPU, at a tick a minute. Prints, asserts nothing.

python tests/bench/bench_idle.py; MINUTES=3 minutes are counted, of several daemons at the same time: each sleeps for
most of it. Their spools lie where TMPDIR says; a commit waits for that disk, and each wait counts. What a device has
under /run is on a tmpfs here, too.
"""

import atexit
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath

from bench import process
from bench.bench_daemon import PAUSE, Bench, environ, tables
from bench.table import figure, machine, table
from world.rig import ROOM_TABLE

from agent.devshield.shield import Api, Setup, Shield

INTERVAL = 60.0
MINUTES = float(os.environ.get("MINUTES", "3"))
TMPFS = "/dev/shm"
SETTLE_SECONDS = 15.0  # after eight deliveries at the usual pace
ANSWER_SECONDS = 0.03  # a round trip of a fast line: on loopback an answer is sometimes there before it is waited for
WATCHDOG = {"WATCHDOG_USEC": "120000000"}  # the unit's
PARTS = ("main", "sampler", "buses", "uplink", "control")
# Python names its threads to the kernel from 3.14 on; before, the daemon's are named by this, in its own interpreter
NAMES = """
import threading
before = threading.Thread._set_native_id
def named(thread):
    before(thread)
    with open(f"/proc/self/task/{thread.native_id}/comm", "w") as comm:
        comm.write(thread.name)
threading.Thread._set_native_id = named
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A device: its sensors, the pace of its POSTs, and what its shield takes."""

    name: str
    sensors: str
    pace: float = 1.05
    api: Api = "tutorial"
    on_disk: bool = True


CASES = (
    Case("1 sensor (I2C)", ROOM_TABLE.replace("= 1.0", f"= {INTERVAL}")),
    Case("8 sensors, single POSTs", tables(INTERVAL)),
    Case("8 sensors, single POSTs without a pace", tables(INTERVAL), pace=0.0),
    Case("8 sensors, batches", tables(INTERVAL), api="extended"),
    Case("8 sensors, batches, spool on a tmpfs", tables(INTERVAL), api="extended", on_disk=False),
)


class Device(Bench):
    """The board of a case, and a shield that answers after a round trip."""

    def __init__(self, directory: Path, case: Case) -> None:
        run = Path(tempfile.mkdtemp(prefix="bench-run-", dir=TMPFS))
        atexit.register(shutil.rmtree, run, ignore_errors=True)
        (directory / "board").mkdir(parents=True)
        (directory / "board/run").symlink_to(run)
        self.case, self.tmpfs = case, run
        super().__init__(directory)
        self.enroll()
        self.configure(case.sensors)

    def start_shield(self, *faults: str) -> Shield:
        """As the case has it."""
        slow = f"slow:{ANSWER_SECONDS}"
        setup = Setup(self.directory / "shield", rule="strict", faults=(*faults, slow), api=self.case.api)
        self.shield = Shield(setup)
        return self.shield

    def configure(self, text: str, **replaced: str) -> None:
        """With the pace and the disk of the case."""
        super().configure(text, **replaced)
        written = self.config.read_text()
        written = written.replace("min_interval_seconds = 0.0", f"min_interval_seconds = {self.case.pace}")
        if not self.case.on_disk:
            written = written.replace(f"{self.directory}/spool.db", f"{self.tmpfs}/spool.db")
        self.config.write_text(written)

    def has_delivered(self) -> bool:
        """Whether nothing waits any more."""
        return bool(self.status() and self.status()["spool"]["pending"] == 0)


@dataclass(frozen=True, slots=True)
class Look:
    """Wake-ups so far by part, and CPU seconds."""

    wakeups: dict[str, int]
    cpu: float

    @classmethod
    def at(cls, daemon: Any) -> "Look":
        """As it is now."""
        wakeups = dict.fromkeys(PARTS, 0)
        for thread, count in process.wakeups(daemon.pid).items():
            name = (
                "main" if thread == daemon.pid else Path(f"/proc/{daemon.pid}/task/{thread}/comm").read_text().strip()
            )
            wakeups[name] += count
        return cls(wakeups, process.cpu(daemon.pid))


def rows(seen: dict[str, tuple[Look, Look]], *, ticks: float, seconds: float) -> list[tuple[object, ...]]:
    """A row a case: wake-ups a tick, and CPU of a core in those seconds."""
    found: list[tuple[object, ...]] = []
    for name, (before, after) in seen.items():
        woke = [(after.wakeups[part] - before.wakeups[part]) / ticks for part in PARTS]
        share = (after.cpu - before.cpu) / seconds
        found.append((name, *(figure(each, 1) for each in (*woke, sum(woke))), figure(share * 100, 3)))
    return found


def main() -> None:
    machine()
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        (Path(directory) / "sitecustomize.py").write_text(NAMES)
        named = environ() | WATCHDOG
        named["PYTHONPATH"] = os.pathsep.join((directory, named["PYTHONPATH"]))
        devices = [stack.enter_context(Device(Path(directory) / str(n), case)) for n, case in enumerate(CASES)]
        daemons = {device.case.name: device.start(environ=named) for device in devices}
        for device in devices:
            device.until(device.has_delivered)
        PAUSE(SETTLE_SECONDS)
        begun = {name: Look.at(daemon) for name, daemon in daemons.items()}
        quiet = INTERVAL - 2 * SETTLE_SECONDS
        PAUSE(quiet)
        between = {name: (begun[name], Look.at(daemon)) for name, daemon in daemons.items()}
        PAUSE(MINUTES * 60 - quiet)
        whole = {name: (begun[name], Look.at(daemon)) for name, daemon in daemons.items()}
        for device in devices:
            device.stop(daemons[device.case.name])
    columns = ("", *PARTS, "together", "% of a core")
    table(
        "Wake-ups a minute, a tick in each, with the unit's watchdog",
        columns,
        rows(whole, ticks=MINUTES, seconds=MINUTES * 60),
    )
    table(f"Of them between two ticks, in {quiet:g} s", columns, rows(between, ticks=1, seconds=quiet))


if __name__ == "__main__":
    main()
