"""Instructions of a start, a tick and a delivery, counted by callgrind: a figure that a busy machine does not change.

python tests/bench/instructions.py [--write]; needs valgrind. Each is the difference of two runs of a child that does it
more and fewer times, so that start and end cancel out. Compares with instructions.json beside this file, which a
reviewer sees change; the exit code is 1 when one has grown by more than 5 % under the Python of that file.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath

from bench.compiled import compiled
from bench.table import figure, table

from agent.clock import Clock
from agent.config import SensorConfig
from agent.sampler import Sampler
from agent.sensors.drivers import open_all
from agent.spool import Spool
from agent.ticks import Ticks

FILE = Path(__file__).with_suffix(".json")
SENSORS, MORE, FEWER = 8, 150, 20
TOLERANCE = 0.05
UNENROLLED = 78  # what `run --once` says of a device without certificate


def tick(times: int, directory: Path) -> None:
    """Ticks of eight simulated sensors, from the grid to the commit."""
    configs = [SensorConfig(name=f"s{number}", driver="simulated", interval_seconds=1.0) for number in range(SENSORS)]
    clock = Clock(trust_any=True, boot_id="bench")
    probes = open_all(configs, root=directory, wait=lambda _: False)
    sampler = Sampler(probes, clock, monotonic=time.monotonic)
    now = 0.0
    with Spool(directory / "spool.db") as spool:
        ticks = Ticks(probes, sampler, spool, clock, monotonic=lambda: now)
        for _ in range(times):
            now = ticks.next_due
            ticks.tick(patience=600.0)
    sampler.close()


def delivery(times: int, directory: Path) -> None:
    """Deliveries from the spool to the shield, on one connection."""
    from agent import reading
    from agent.delivery import Backoff
    from agent.flush import Flush, Plan
    from agent.reading import Reading
    from agent.uplink import Target, Uplink

    url, ca_file, certificate, key = json.loads(os.environ["SHIELD"])
    with Spool(directory / "spool.db") as spool:
        spool.append([Reading("freezer", 20_000 + number, 1_795_000_000 + number) for number in range(times)])
        plan = Plan(
            connect=lambda pair: Uplink(Target(url, ca_file, 600.0), pair),
            files=lambda: (certificate, key),
            body=lambda spooled: reading.body(spooled.reading, temperature_as="string"),
            key="device-{}".format,
            backoff=Backoff(pace=0),
        )
        flush = Flush(spool, plan, monotonic=time.monotonic, wall=time.time, jitter=lambda: 0.0)
        for _ in range(times):
            flush.step()
        assert flush.delivered.acknowledged == times, flush.delivered
        flush.close()


def counted(arguments: list[str]) -> int:
    """Instructions of this file as a child."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, *arguments]
    # memory addresses and hashes alike in every run
    done = subprocess.run(
        ["setarch", "--addr-no-randomize", *command],
        env=os.environ | {"PYTHONHASHSEED": "0", "PYTHONPATH": compiled(), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, UNENROLLED}, done.stderr
    return int(done.stderr.rpartition("Collected :")[2].split()[0])


def of(what: str) -> int:
    """Of one time of it."""
    found = []
    for times in (MORE, FEWER):
        with tempfile.TemporaryDirectory() as directory:
            found.append(counted([__file__, what, str(times), directory]))
    return (found[0] - found[1]) // (MORE - FEWER)


def start() -> int:
    """Of `run --once` before enrollment, on a spool that is there: all from the interpreter to the status file."""
    from bench.bench_daemon import tables
    from world.rig import Rig

    with tempfile.TemporaryDirectory() as directory, Rig(Path(directory), sensors=tables(60.0)) as rig:
        once = rig.command("run", "--once")[1:]
        rig.run("run", "--once")
        return counted(once)


def measured() -> dict[str, int]:
    """All of them."""
    from world.rig import Rig

    bare = counted(["-c", "pass"])
    counts = {
        "imports of the daemon": counted(["-c", "import agent.cli.run"]) - bare,
        "start to the first sample, 1-Wire and I2C": start() - bare,
        f"tick of {SENSORS} sensors": of("tick"),
    }
    with tempfile.TemporaryDirectory() as directory, Rig(Path(directory)) as rig:
        rig.enroll()
        etc = Path(directory) / "etc"
        files = rig.where["ca_file"], str(etc / "sensor.pem"), str(etc / "sensor-key.pem")
        os.environ["SHIELD"] = json.dumps((rig.where["shield"], *files))
        counts["delivery"] = of("delivery")
    return counts


def main() -> int:
    python = f"Python {platform.python_version()} on {platform.machine()}"
    known: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {"python": python, "instructions": {}}
    before: dict[str, int] = known["instructions"]
    now = measured()
    changes = {name: count / before.get(name, count) - 1 for name, count in now.items()}
    table(
        f"Instructions, {python}; before: {known['python']}",
        ("", "before", "now", "change"),
        [(name, figure(before.get(name)), figure(count), f"{changes[name]:+.1%}") for name, count in now.items()],
    )
    if "--write" in sys.argv:
        FILE.write_text(json.dumps({"python": python, "instructions": now}, indent=2) + "\n")
        return 0
    return int(known["python"] == python and max(changes.values()) > TOLERANCE)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in {"tick", "delivery"}:
        {"tick": tick, "delivery": delivery}[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
        sys.exit(0)
    sys.exit(main())
