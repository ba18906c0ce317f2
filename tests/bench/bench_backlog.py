"""A million queued readings: what they cost on disk, to open, to count, and to hand out the first of them.

python tests/bench/bench_backlog.py [READINGS]; in memory-backed files, so that it is SQLite that is measured.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.reading import Reading
from agent.spool import Limits, Spool

READINGS = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdecimal() else 1_000_000
PIECE = 10_000
START = 1_795_000_000


def fill(path: Path) -> None:
    """Eight sensors, a reading every ten seconds each."""
    with Spool(path, limits=Limits(max_readings=READINGS)) as spool:
        for begin in range(0, READINGS, PIECE):
            spool.append(
                [
                    Reading(f"sensor-{number % 8}", 20_000 + number % 9_000, START + number // 8 * 10)
                    for number in range(begin, min(begin + PIECE, READINGS))
                ]
            )


def look(path: Path) -> None:
    """In a process of its own: opening, counting, the first readings, and the memory all of it took."""

    def memory() -> int:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0])

    before, began = memory(), time.process_time()
    spool = Spool(path, limits=Limits(max_readings=READINGS))
    opened = time.process_time()
    pending = {spool.counts().pending for _ in range(100)}
    counted = time.process_time()
    for _ in range(100):
        spool.head()
    headed = time.process_time()
    print(f"pending {pending}; opened in {(opened - began) * 1000:.0f} ms of CPU")
    print(f"counts() {(counted - opened) * 10:.3f} ms, head() {(headed - counted) * 10:.3f} ms")
    print(f"memory {memory() - before} KiB")
    spool.close()


def main() -> int:
    """Print the figures; exit code 1 if the file is larger than the budget."""
    with TemporaryDirectory(prefix="bench-backlog-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as at:
        path = Path(at) / "spool.db"
        fill(path)
        size = path.stat().st_size
        print(f"{READINGS} readings: {size / 1e6:.1f} MB, {size / READINGS:.1f} bytes each (budget 28 MB a million)")
        subprocess.run([sys.executable, __file__, "look", str(path)], check=True)
    return int(size > 28 * READINGS)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        look(Path(sys.argv[2]))
        sys.exit(0)
    sys.exit(main())
