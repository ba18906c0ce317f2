"""`status` beside a daemon with a million queued readings: what its owner waits for. Budget: 0.3 s of CPU.

python tests/bench/bench_status.py [READINGS]
"""

import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath

from bench.compiled import compiled
from bench.table import figure, machine, table

from agent.reading import Reading
from agent.spool import Limits, Spool

READINGS = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdecimal() else 1_000_000
PIECE, START, BUDGET = 10_000, 1_795_000_000, 0.3
CONFIG = """
[device]
name = "bench"
[uplink]
url = "https://shield.invalid/temps"
[spool]
path = "{at}/spool.db"
max_readings = {readings}
[identity]
cert_file = "{at}/none.pem"
key_file = "{at}/none-key.pem"
[[sensors]]
name = "room"
driver = "simulated"
interval_seconds = 1.0
"""


def fill(path: Path) -> None:
    """A queue that nobody delivers."""
    with Spool(path, limits=Limits(max_readings=READINGS + 1000)) as spool:
        for begin in range(0, READINGS, PIECE):
            spool.append(
                [Reading("room", 20_000 + number % 9_000, START + number) for number in range(begin, begin + PIECE)]
            )


def main() -> int:
    """Print the figures; exit code 1 if there are none."""
    with TemporaryDirectory(prefix="bench-status-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as name:
        at = Path(name)
        fill(at / "spool.db")
        config = at / "config.toml"
        config.write_text(CONFIG.format(at=at, readings=READINGS + 1000))
        command = [sys.executable, "-m", "agent", f"--config={config}", f"--root={at}"]
        environ = os.environ | {"PYTHONPATH": compiled(), "PYTHONSAFEPATH": "1"}
        daemon = subprocess.Popen([*command, "run"], stderr=subprocess.DEVNULL, env=environ)
        while not (at / "run/sensor-agent/status.json").exists() and daemon.poll() is None:
            threading.Event().wait(0.1)
        walls, cpus, shown = [], [], ""
        for _ in range(9):
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
            asked = subprocess.run([*command, "status"], capture_output=True, text=True, check=False, env=environ)
            shown = asked.stdout
            walls.append(time.monotonic() - began)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        alive = daemon.poll() is None
        daemon.terminate()
        daemon.wait()
    if not alive or f"{READINGS // 1000:,}," not in shown:
        print(f"status beside a daemon could not be measured; it said:\n{shown}")
        return 1
    machine()
    cpu = statistics.median(cpus)
    budget = f"{BUDGET * 1000:.0f}" + ("" if cpu <= BUDGET else ", over budget")
    row = (f"{READINGS:,}", figure(cpu * 1000), budget, figure(statistics.median(walls) * 1000))
    table("`sensor-agent status` beside the daemon, median of 9", ("queued", "ms CPU", "budget", "ms"), [row])
    return 0


if __name__ == "__main__":
    sys.exit(main())
