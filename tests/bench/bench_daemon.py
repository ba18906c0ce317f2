"""What the running daemon costs: start, memory, idle CPU and wake-ups, and a backlog drained. Prints, asserts nothing.

python tests/bench/bench_daemon.py [READINGS]
"""

import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath

from world.rig import FREEZER_TABLE, ROOM_TABLE, Rig

from agent.reading import Reading
from agent.spool import Spool

TICK = os.sysconf("SC_CLK_TCK")
IDLE_SECONDS = 20.0


def cpu(pid: int) -> float:
    """User and system seconds of the process and all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(pid: int) -> dict[str, float]:
    """RSS, PSS and private dirty in MiB."""
    lines = dict(line.split(":") for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return {name: int(lines[name].split()[0]) / 1024 for name in ("Rss", "Pss", "Private_Dirty")}


def switches(pid: int) -> int:
    """Voluntary context switches of all threads: each is a wake-up."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        status = (task / "status").read_text()
        total += int(status.split("voluntary_ctxt_switches:")[1].split()[0])
    return total


def drained(rig: Rig, readings: int) -> None:
    """Start the daemon on a backlog and follow it down."""
    with Spool(rig.directory / "spool.db") as spool:
        for start in range(0, readings, 1000):
            spool.append(
                [
                    Reading("freezer", seq % 90_000, 1_780_000_000 + seq)
                    for seq in range(start, min(start + 1000, readings))
                ]
            )
    daemon = rig.start()
    rig.until(lambda: len(rig.stored()) > 1)
    begun, begun_cpu, first = time.monotonic(), cpu(daemon.pid), len(rig.stored())
    rig.until(lambda: rig.status().get("spool", {}).get("pending") == 0, seconds=600)
    took, used, count = time.monotonic() - begun, cpu(daemon.pid) - begun_cpu, len(rig.stored()) - first
    print(
        f"drain       {count} readings in {took:.1f} s, {used:.2f} s CPU: {count / used:,.0f} readings per CPU-second"
    )
    print("memory      " + ", ".join(f"{name} {mib:.1f} MiB" for name, mib in memory(daemon.pid).items()))
    rig.stop(daemon)


def idle(rig: Rig, *, interval: float, sensors: int) -> None:
    """Start it on an empty spool and let it be."""
    tables = "".join(
        f'[[sensors]]\nname = "s{place}"\ndriver = "simulated"\ninterval_seconds = {interval}\n'
        for place in range(sensors - 2)
    )
    rig.configure((FREEZER_TABLE + ROOM_TABLE).replace("= 1.0", f"= {interval}") + tables)
    daemon = rig.start()
    rig.until(lambda: len(rig.stored()) >= sensors)
    started = cpu(daemon.pid)
    threading.Event().wait(1.0)
    before, awake, begun = cpu(daemon.pid), switches(daemon.pid), time.monotonic()
    threading.Event().wait(IDLE_SECONDS)
    seconds = time.monotonic() - begun
    used, woken = cpu(daemon.pid) - before, switches(daemon.pid) - awake
    ticks = seconds // interval
    print(f"start       {started:.3f} s CPU until the first {sensors} readings are at the shield")
    print(
        f"steady      {sensors} sensors every {interval:g} s: {used / seconds:.3%} of a core,"
        f" {used / ticks * 1000:.1f} ms CPU and {woken / ticks:.1f} wake-ups a tick"
    )
    print("memory      " + ", ".join(f"{name} {mib:.1f} MiB" for name, mib in memory(daemon.pid).items()))
    rig.stop(daemon, signal.SIGTERM)


def main() -> None:
    readings = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    print(f"machine     {os.cpu_count()} cores, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as first, Rig(Path(first)) as rig:
        rig.enroll()
        drained(rig, readings)
    with tempfile.TemporaryDirectory() as second, Rig(Path(second)) as rig:
        rig.enroll()
        idle(rig, interval=10.0, sensors=8)


if __name__ == "__main__":
    main()
