"""Compressed time with faults: hours of ticks in minutes, and whether memory, files, threads and spool stay what they are.

python tests/bench/soak.py [MINUTES]; a tick a second stands for one a minute, so ten minutes are ten hours. The shield
answers badly, hangs, forgets answers and goes away; sensors vanish and come back; the configuration is reloaded and the
certificate's files are written anew. Prints a line a minute and the two halves side by side, asserts nothing.
"""

import itertools
import os
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import astuple, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath

from bench import process
from bench.table import machine, table
from world.rig import FREEZER, FREEZER_TABLE, ROOM_TABLE, Rig

from agent.devshield.i2c_wire import chip_text, put_chip, remove_chip

SENSORS = 8
EPISODE_SECONDS = 4.0
COLUMNS = ("minute", "RSS MiB", "private MiB", "files", "threads", "spool KiB", "pending", "delivered")
# what the shield does for an episode; nothing in most of them, as in life
SHIELD = (
    "",
    "503*5",
    "",
    "429:0.2*3",
    "",
    "drop*4",
    "",
    "lost*3",
    "",
    "portal*4",
    "",
    "400html*3",
    "",
    "off",
    "off",
    "",
)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the daemon: `seconds` since the start."""

    seconds: float
    rss: float
    private: float
    files: int
    threads: int
    spool: float
    pending: int
    delivered: int


def look(rig: Rig, pid: int, since: float) -> Look:
    """What it uses now."""
    memory = process.memory(pid)
    status = rig.status()
    size = sum(file.stat().st_size for file in rig.directory.glob("spool.db*")) / 1024
    return Look(
        seconds=time.monotonic() - since,
        rss=memory.rss,
        private=memory.private,
        files=process.open_files(pid),
        threads=process.threads(pid),
        spool=size,
        pending=status["spool"]["pending"],
        delivered=status["uplink"]["acknowledged"],
    )


def episode(rig: Rig, pid: int, number: int) -> None:
    """What happens to the board from now on; the same order in every run."""
    fault = SHIELD[number % len(SHIELD)]
    if fault == "off":
        rig.stop_shield()
    else:
        if rig.shield is None:
            rig.start_shield()
        assert rig.shield is not None
        rig.shield.faults.put("shield", [fault] if fault else [])
    match number % 7:
        case 1:
            rig.tree.remove(FREEZER)
        case 2:
            rig.tree.add(FREEZER, -18.0 + number % 5)
        case 3:
            remove_chip(rig.board, 0x48)
        case 4:
            put_chip(rig.board, 0x48, chip_text("word", {"00": "1580", "01": "60a0"}))
        case 5:
            os.kill(pid, signal.SIGHUP)
        case 6:
            certificate = rig.directory / "etc/sensor.pem"
            fresh = certificate.with_name("fresh.pem")
            shutil.copy(certificate, fresh)
            fresh.replace(certificate)
        case _:
            pass


def soak(rig: Rig, minutes: float) -> list[Look]:
    """Looks, ten a minute."""
    daemon = rig.start()
    rig.until(lambda: len(rig.stored()) >= SENSORS)
    begun = time.monotonic()
    looks: list[Look] = []
    for number in itertools.count():
        episode(rig, daemon.pid, number)
        threading.Event().wait(EPISODE_SECONDS)
        assert daemon.poll() is None, rig.log()
        looks.append(look(rig, daemon.pid, begun))
        if len(looks) % 15 == 0:
            print(*astuple(looks[-1]), file=sys.stderr, flush=True)
        if looks[-1].seconds >= minutes * 60:
            break
    rig.stop(daemon)
    return looks


def shown(name: str, looks: list[Look]) -> tuple[object, ...]:
    """A row: medians, and the last counts."""
    middle = [statistics.median(column) for column in zip(*map(astuple, looks), strict=True)]
    return (name, *(f"{value:.1f}" for value in middle[1:3]), *map(round, middle[3:7]), looks[-1].delivered)


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 12.0
    with tempfile.TemporaryDirectory() as directory, Rig(Path(directory)) as rig:
        rig.enroll()
        more = "".join(
            f'[[sensors]]\nname = "s{place}"\ndriver = "simulated"\ninterval_seconds = 1.0\n'
            for place in range(SENSORS - 2)
        )
        rig.configure(FREEZER_TABLE + ROOM_TABLE + more)
        looks = soak(rig, minutes)
    third = len(looks) // 3  # of the run; the first one fills buffers that are there to be filled
    machine()
    rows = [
        shown(str(minute + 1), part)
        for minute in range(int(looks[-1].seconds // 60))
        if (part := [each for each in looks if minute <= each.seconds / 60 < minute + 1])
    ]
    table(f"Soak, {minutes:g} minutes of ticks a second with faults", COLUMNS, rows)
    table(
        "The same, second third and last third",
        COLUMNS,
        [shown("2/3", looks[third : 2 * third]), shown("3/3", looks[2 * third :])],
    )


if __name__ == "__main__":
    main()
