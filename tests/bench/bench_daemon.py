"""What the running daemon costs: start, memory, idle CPU and wake-ups, and a backlog drained. Prints, asserts nothing.

python tests/bench/bench_daemon.py [READINGS]; PYTHON=/usr/bin/python3 measures the daemon under another interpreter.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath

from bench import process
from bench.compiled import compiled
from bench.table import figure, machine, table
from world.rig import FREEZER_TABLE, ROOM_TABLE, Rig

from agent.reading import Reading
from agent.spool import Spool

PYTHON = os.environ.get("PYTHON", sys.executable)
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
STARTS = 7
MINUTES = float(os.environ.get("MINUTES", "2"))
INTERVAL, SENSORS = 60.0, 8
PAUSE = threading.Event().wait


def environ() -> dict[str, str]:
    """In which the daemon is an installed one, with its bytecode."""
    return os.environ | {"PYTHONPATH": compiled(PYTHON), "PYTHONSAFEPATH": "1"}


class Bench(Rig):
    """The board, and a daemon under the interpreter that is asked for."""

    def command(self, *arguments: str) -> list[str]:
        python = PYTHON if arguments == ("run",) else sys.executable
        return [python, *super().command(*arguments)[1:]]

    def trust_everyone(self) -> None:
        """The distribution's 140 roots and the shield's: what a device has that pins nothing."""
        bundle = self.directory / "bundle.pem"
        roots = BUNDLE.read_bytes() if BUNDLE.exists() else b""
        bundle.write_bytes(roots + Path(self.where["ca_file"]).read_bytes())
        self.where |= {"ca_file": str(bundle)}


def tables(interval: float) -> str:
    """A DS18B20, a TMP102 and six simulated sensors."""
    real = (FREEZER_TABLE + ROOM_TABLE).replace("= 1.0", f"= {interval}")
    return real + "".join(
        f'[[sensors]]\nname = "s{place}"\ndriver = "simulated"\ninterval_seconds = {interval}\n'
        for place in range(SENSORS - 2)
    )


def started(rig: Bench) -> tuple[float, float]:
    """CPU seconds until the first tick is on disk and in the status file, and until its readings are at the shield."""
    (rig.board / "run/sensor-agent/status.json").unlink(missing_ok=True)
    before = len(rig.stored())
    daemon = rig.start(environ=environ())
    while not rig.status():
        PAUSE(0.001)
    sampled = process.cpu(daemon.pid)
    rig.until(lambda: len(rig.stored()) >= before + SENSORS)
    delivered = process.cpu(daemon.pid)
    rig.stop(daemon)
    return sampled, delivered


def idle(rig: Bench) -> tuple[object, ...]:
    """A row: whole minutes after the first one's deliveries, each with a tick and its deliveries."""
    before = len(rig.stored())
    daemon = rig.start(environ=environ())
    rig.until(lambda: len(rig.stored()) >= before + SENSORS)
    PAUSE(5.0)
    used, woken = process.cpu(daemon.pid), process.wakeups(daemon.pid)
    PAUSE(MINUTES * 60)
    used, after = process.cpu(daemon.pid) - used, process.wakeups(daemon.pid)
    memory = process.memory(daemon.pid)
    rig.stop(daemon, signal.SIGTERM)
    woke = sum(count - woken.get(thread, 0) for thread, count in after.items())
    return (
        figure(used / MINUTES / 60 * 100, 4),
        figure(used / MINUTES * 1000, 1),
        figure(woke / MINUTES, 1),
        *(figure(size, 1) for size in (memory.rss, memory.pss, memory.private)),
    )


def drained(rig: Bench, readings: int) -> float:
    """Readings per CPU-second of a daemon that starts on a backlog."""
    with Spool(rig.directory / "spool.db") as spool:
        for start in range(0, readings, 1000):
            numbers = range(start, min(start + 1000, readings))
            spool.append([Reading("freezer", seq % 90_000, 1_780_000_000 + seq) for seq in numbers])
    before = len(rig.stored())
    daemon = rig.start(environ=environ())
    rig.until(lambda: len(rig.stored()) > before + 1)
    used, first = process.cpu(daemon.pid), len(rig.stored())
    rig.until(lambda: rig.status().get("spool", {}).get("pending") == 0, seconds=600)
    used, count = process.cpu(daemon.pid) - used, len(rig.stored()) - first
    rig.stop(daemon)
    return count / used


def main() -> None:
    readings = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    machine()
    with tempfile.TemporaryDirectory() as directory, Bench(Path(directory)) as rig:
        rig.enroll()
        rig.trust_everyone()
        rig.configure(tables(INTERVAL))
        sampled, delivered = zip(*(started(rig) for _ in range(STARTS)), strict=True)
        quiet = idle(rig)
        each_second = drained(rig, readings)
    name = subprocess.run([PYTHON, "-V"], check=True, capture_output=True, text=True).stdout.strip()
    table(
        f"Start, {name}, median of {STARTS}",
        ("", "ms CPU"),
        [
            ("first sample on disk", figure(statistics.median(sampled) * 1000)),
            (f"first {SENSORS} readings at the shield", figure(statistics.median(delivered) * 1000)),
        ],
    )
    columns = ("", "% of a core", "ms CPU a minute", "wake-ups a minute", "RSS MiB", "PSS MiB", "private MiB")
    table(f"At rest: {SENSORS} sensors every {INTERVAL:g} s, all delivered", columns, [("daemon", *quiet)])
    table("A backlog", ("", "readings per CPU-second"), [(f"{readings:,} queued", figure(each_second))])


if __name__ == "__main__":
    main()
