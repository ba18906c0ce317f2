"""What the spool costs a memory card: bytes that reach a block device, flushes and syncs, for each kind of durability.

Each configuration writes to an ext4 of its own on a loop device, all at the same time, eight readings every ten seconds;
/sys/block/*/stat counts what arrives. A window's ticks come together at its end, so that each run makes the same number
of commits in the same time: between commits nothing is written. The naive layout is SQLite as it comes, with a commit
for each reading and one for each acknowledgement. Needs root, and takes two minutes; COMMITS=3 for a quick look.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath

from bench.table import figure, machine, table

from agent.reading import Reading
from agent.spool import Limits, Spool

SENSORS = 8
EVERY = 10.0  # seconds between ticks: what the budget is stated for
COMMITS = int(os.environ.get("COMMITS", "9"))
BACK_TO_BACK = 400  # ticks
START = 1_795_000_000
JOURNAL_SECONDS = 6.0  # ext4 commits its journal every five
SYNCS = 1.2  # the budget of a tick
A_DAY = 86_400 / EVERY * SENSORS


@dataclass(frozen=True, slots=True)
class Device:
    """A mounted loop device; `name` is its name below /sys/block."""

    name: str
    directory: Path

    def counters(self) -> tuple[int, int]:
        """Bytes written and flushes, https://www.kernel.org/doc/html/latest/block/stat.html."""
        fields = Path(f"/sys/block/{self.name}/stat").read_text().split()
        return int(fields[6]) * 512, int(fields[15])


@contextmanager
def mounted(scratch: Path, name: str) -> Iterator[Device]:
    """A fresh ext4 of 64 MiB."""
    image, directory = scratch / f"{name}.img", scratch / name
    with image.open("wb") as file:
        file.truncate(64 << 20)
    directory.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop,noatime", str(image), str(directory)], check=True)
    try:
        find = ["findmnt", "-n", "-o", "SOURCE", str(directory)]
        source = subprocess.run(find, check=True, capture_output=True, text=True).stdout.strip()
        yield Device(Path(source).name, directory)
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
        image.unlink()


def readings(tick: int) -> list[Reading]:
    """The tick's readings."""
    return [Reading(f"sensor-{place}", 20_000 + tick % 100 * 7 + place, START + tick * 10) for place in range(SENSORS)]


class Ours:
    """The agent's spool, with everything delivered at once."""

    def __init__(self, directory: Path, *, window: float, online: bool = True) -> None:
        self._spool = Spool(directory / "spool.db", limits=Limits(max_readings=20_000, window_seconds=window))
        self._online = online

    def tick(self, tick: int) -> None:
        """One tick, and its delivery."""
        self._spool.append(readings(tick), now=tick * EVERY, utc=START + tick * 10)
        if self._online:
            for spooled in self._spool.head():
                self._spool.ack(spooled.seq)

    def close(self) -> None:
        self._spool.close()


class Naive:
    """SQLite's own settings; a commit for each reading and for each acknowledgement."""

    def __init__(self, directory: Path) -> None:
        self._db = sqlite3.connect(directory / "queue.db", isolation_level=None, check_same_thread=False)
        self._db.execute("CREATE TABLE queue(id INTEGER PRIMARY KEY, sensor TEXT, celsius REAL, time TEXT)")

    def tick(self, tick: int) -> None:
        """One tick, and its delivery."""
        rows = [
            self._db.execute(
                "INSERT INTO queue(sensor, celsius, time) VALUES (?, ?, ?)",
                (each.sensor, each.celsius, each.time),
            ).lastrowid
            for each in readings(tick)
        ]
        for row in rows:
            self._db.execute("DELETE FROM queue WHERE id = ?", (row,))

    def close(self) -> None:
        self._db.close()


Writer = Ours | Naive


@dataclass(frozen=True, slots=True)
class Line:
    """A configuration: `ticks` that end in one commit, `pace` seconds between commits, `budget` in bytes per reading."""

    name: str
    make: Callable[[Path], Writer]
    ticks: int = 1
    commits: int = COMMITS
    pace: float = EVERY
    budget: float | None = None


def ours(window: float = 0.0, *, online: bool = True) -> Callable[[Path], Writer]:
    return lambda directory: Ours(directory, window=window, online=online)


LINES = (
    Line("strict", ours(), budget=3000),
    Line("strict, nothing delivered", ours(online=False)),
    Line("30s, nothing delivered", ours(30, online=False), ticks=3),
    Line("60s, nothing delivered", ours(60, online=False), ticks=6),
    Line("300s, nothing delivered", ours(300, online=False), ticks=30),
    Line("60s, all delivered", ours(60), ticks=6),
    Line("strict, back to back", ours(), commits=BACK_TO_BACK, pace=0, budget=1200),
    Line("strict, two days of past", ours(), commits=BACK_TO_BACK * 50, pace=0, budget=1200),
    Line("naive", Naive),
    Line("naive, back to back", Naive, commits=BACK_TO_BACK // 8, pace=0),
)


def measured(line: Line, device: Device) -> tuple[float, float]:
    """Bytes per reading and flushes per tick that reached the device."""
    writer = line.make(device.directory)
    for tick in range(line.ticks):  # the first window claims numbers and is no example
        writer.tick(tick)
    os.sync()
    threading.Event().wait(JOURNAL_SECONDS)
    before = device.counters()
    ticks = line.commits * line.ticks
    began = time.monotonic()
    for commit in range(line.commits):
        threading.Event().wait(max(began + commit * line.pace - time.monotonic(), 0))
        for tick in range(line.ticks):
            writer.tick((commit + 1) * line.ticks + tick)
    threading.Event().wait(JOURNAL_SECONDS)
    after = device.counters()
    writer.close()
    return (after[0] - before[0]) / (ticks * SENSORS), (after[1] - before[1]) / ticks


def syncs(layout: str, ticks: int = 150) -> float | None:
    """fsync and fdatasync per tick, counted by strace; None where that is not installed."""
    if shutil.which("strace") is None:
        return None
    with TemporaryDirectory(prefix="bench-wear-") as scratch:
        log = Path(scratch) / "log"
        strace = ["strace", "-f", "-o", str(log), "-e", "trace=fsync,fdatasync,getpgid"]
        subprocess.run([*strace, sys.executable, __file__, layout, scratch, str(ticks)], check=True)
        counted = log.read_text().partition("getpgid")[2]
    return (counted.count("fsync(") + counted.count("fdatasync(")) / ticks


def write(layout: str, directory: Path, ticks: int) -> None:
    """What `syncs` looks at: begins to count when it asks for a process group, and is never closed."""
    writer = Naive(directory) if layout == "naive" else Ours(directory, window=0)
    writer.tick(0)
    os.getpgid(0)
    for tick in range(1, ticks + 1):
        writer.tick(tick)
    os._exit(0)


def judged(value: float | None, budget: float | None, places: int) -> str | None:
    """The figure, and whether it is over its budget."""
    over = value is not None and budget is not None and value > budget
    return f"{figure(value, places)}, over budget" if over else figure(value, places)


def main() -> None:
    """Print the tables."""
    machine()
    with TemporaryDirectory(prefix="bench-wear-") as scratch, ThreadPoolExecutor(len(LINES)) as pool:

        def run(number: int, line: Line) -> tuple[float, float]:
            with mounted(Path(scratch), str(number)) as device:
                return measured(line, device)

        found = list(pool.map(run, range(len(LINES)), LINES))
    table(
        f"What reaches a block device: {SENSORS} readings a tick, every {EVERY:g} s",
        ("durability", "bytes a reading", "budget", "flushes a tick", "MB a day"),
        [
            (
                line.name,
                judged(size, line.budget, 0),
                figure(line.budget),
                figure(flushes, 2),
                figure(size * A_DAY / 1e6, 1),
            )
            for line, (size, flushes) in zip(LINES, found, strict=True)
        ],
    )
    counted = [(layout, syncs(layout), most) for layout, most in (("strict", SYNCS), ("naive", None))]
    table(
        "fsync and fdatasync, counted by strace",
        ("durability", "a tick", "budget"),
        [(layout, judged(number, most, 2), figure(most, 1)) for layout, number, most in counted],
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    main()
