"""What a reading costs in the spool with a thousand to a million queued: append, drain, count. Prints, asserts nothing.

python tests/bench/bench_backlog.py [MOST]; in memory-backed files, so that it is SQLite that is measured, and in fresh
processes. Draws docs/cost-backlog.svg when MOST is a million.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath

from bench.plot import draw
from bench.table import figure, machine, table

from agent.reading import Reading
from agent.spool import Limits, Spool

MILLION = 1_000_000
PIECE = 10_000
SENSORS, ROUNDS = 8, 250
START = 1_795_000_000
PICTURE = Path(__file__).parents[2] / "docs/cost-backlog.svg"


def limits(readings: int) -> Limits:
    """Room for them and for what is appended."""
    return Limits(max_readings=readings + 10 * SENSORS * ROUNDS)


def fill(path: Path, readings: int) -> None:
    """Eight sensors, a reading every ten seconds each."""
    with Spool(path, limits=limits(readings)) as spool:
        for begin in range(0, readings, PIECE):
            numbers = range(begin, min(begin + PIECE, readings))
            spool.append(
                [Reading(f"sensor-{n % SENSORS}", 20_000 + n % 9_000, START + n // SENSORS * 10) for n in numbers]
            )


def peak() -> int:
    """The most memory this process has had, in KiB."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])


def look(path: Path, readings: int) -> dict[str, float]:
    """In a process of its own; milliseconds of CPU, µs a reading, and the MiB that all of it took."""
    before, began = peak(), time.process_time()
    spool = Spool(path, limits=limits(readings))
    opened = time.process_time() - began
    began = time.process_time()
    for _ in range(100):
        spool.counts()
    counted = (time.process_time() - began) / 100
    appended, drained = [], []
    seconds = START + readings // SENSORS * 10
    for number in range(ROUNDS):
        tick = [Reading(f"sensor-{place}", 20_000 + number, seconds + number * 10) for place in range(SENSORS)]
        began = time.process_time()
        spool.append(tick)
        appended.append(time.process_time() - began)
        began = time.process_time()
        for spooled in spool.head(SENSORS):
            spool.ack(spooled.seq)
        drained.append(time.process_time() - began)
    spool.close()
    return {
        "open": opened * 1000,
        "counts": counted * 1000,
        "append": statistics.mean(appended) / SENSORS * 1e6,
        "drain": statistics.mean(drained) / SENSORS * 1e6,
        "memory": (peak() - before) / 1024,
    }


def measured(readings: int) -> dict[str, float]:
    """The figures at that many queued."""
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with TemporaryDirectory(prefix="bench-backlog-", dir=shm) as at:
        path = Path(at) / "spool.db"
        fill(path, readings)
        size = path.stat().st_size
        done = subprocess.run(
            [sys.executable, __file__, str(readings), str(path)], check=True, capture_output=True, text=True
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found | {"size": size / 1e6}


def main() -> None:
    most = int(sys.argv[1]) if len(sys.argv) > 1 else MILLION
    machine()
    sizes = [size for size in (1_000, 10_000, 100_000, MILLION) if size <= most]
    found = {size: measured(size) for size in sizes}
    table(
        f"The spool by readings queued: CPU, {SENSORS} readings a commit",
        ("queued", "append µs each", "drain µs each", "counts ms", "open ms", "MiB more", "file MB"),
        [
            (
                f"{size:,}",
                figure(each["append"], 1),
                figure(each["drain"], 1),
                figure(each["counts"], 4),
                figure(each["open"], 1),
                figure(each["memory"], 1),
                figure(each["size"], 1),
            )
            for size, each in found.items()
        ],
    )
    if most == MILLION:
        draw(
            PICTURE,
            "CPU of a reading in the spool",
            "readings queued",
            "µs of CPU",
            {name: [(size, each[name]) for size, each in found.items()] for name in ("append", "drain")},
        )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(look(Path(sys.argv[2]), int(sys.argv[1]))))
    else:
        main()
