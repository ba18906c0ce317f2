"""Instructions of a start, a tick and a delivery, counted by valgrind: a figure that a busy machine does not change.

python tests/bench/instructions.py [--write | --json]; needs valgrind (cachegrind without caches, in half of callgrind's
time). A tick and a delivery are the difference of two runs of a child that does it more and fewer times, so that start
and end cancel out. Compares with instructions.json beside this file, which a reviewer sees change; the exit code is 1
when one has grown by more than 5 %. Counts that another interpreter wrote are taken anew under this one: baseline.py.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath

from bench.baseline import TOLERANCE, Counts, baseline, grown, parsed, under
from bench.compiled import compiled
from bench.table import figure, table

from agent.clock import Clock
from agent.config import SensorConfig
from agent.sampler import Sampler
from agent.sensors.drivers import open_all
from agent.spool import Spool
from agent.ticks import Ticks

FILE = Path(__file__).with_suffix(".json")
SENSORS, MORE, FEWER = 8, 120, 20
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


def counted(arguments: list[str], environ: Mapping[str, str] = os.environ) -> int:
    """Instructions of this Python as a child, with these arguments."""
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", sys.executable]
    # memory addresses and hashes alike in every run
    done = subprocess.run(
        ["setarch", "--addr-no-randomize", *command, *arguments],
        env=dict(environ) | {"PYTHONHASHSEED": "0", "PYTHONPATH": compiled(), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, UNENROLLED}, done.stderr
    return int(done.stderr.rpartition("refs:")[2].split()[0].replace(",", ""))


def measured() -> Counts:
    """All of them, on as many cores as there are: what else runs changes the time and not the count."""
    from bench.bench_daemon import tables
    from world.rig import Rig

    compiled()  # once, before the threads
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(os.cpu_count()))

        def directory() -> Path:
            return Path(stack.enter_context(tempfile.TemporaryDirectory()))

        def several(what: str, environ: Mapping[str, str] = os.environ) -> tuple[Future[int], Future[int]]:
            more, fewer = ([__file__, what, str(times), str(directory())] for times in (MORE, FEWER))
            return pool.submit(counted, more, environ), pool.submit(counted, fewer, environ)

        board = stack.enter_context(Rig(directory(), sensors=tables(60.0)))
        board.run("run", "--once")  # not enrolled: up to the status file, on a spool that is there from now on
        enrolled = stack.enter_context(Rig(directory()))
        enrolled.enroll()
        pair = (str(enrolled.directory / "etc" / name) for name in ("sensor.pem", "sensor-key.pem"))
        shield = json.dumps((enrolled.where["shield"], enrolled.where["ca_file"], *pair))
        deliveries = several("delivery", os.environ | {"SHIELD": shield})
        ticks = several("tick")
        started = pool.submit(counted, board.command("run", "--once")[1:])
        imported = pool.submit(counted, ["-c", "import agent.cli.daemon"])
        bare = counted(["-c", "pass"])
        return Counts(
            under(),
            {
                "imports of the daemon": imported.result() - bare,
                "start to the first sample, 1-Wire and I2C": started.result() - bare,
                f"tick of {SENSORS} sensors": _each(*ticks),
                "delivery": _each(*deliveries),
            },
        )


def _each(more: Future[int], fewer: Future[int]) -> int:
    return (more.result() - fewer.result()) // (MORE - FEWER)


def main(arguments: list[str]) -> int:
    now = measured()
    if "--json" in arguments:
        print(now.text())
        return 0
    write = "--write" in arguments
    before = parsed(FILE.read_text()) if write else baseline(FILE, Path(__file__))
    old = before.instructions
    table(
        f"Instructions, {now.under}" + ("" if before.under == now.under else f"; before: {before.under}"),
        ("", "before", "now", "change"),
        [
            (name, figure(old.get(name)), figure(count), f"{count / old.get(name, count) - 1:+.1%}")
            for name, count in now.instructions.items()
        ],
    )
    if write:
        FILE.write_text(now.text())
        return 0
    for name in grown(before, now):
        print(f"{name}: more than {TOLERANCE:.0%} above; if it must be: make instructions WRITE=1", file=sys.stderr)
    return int(bool(grown(before, now)))


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in {"tick", "delivery"}:
        {"tick": tick, "delivery": delivery}[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
        sys.exit(0)
    sys.exit(main(sys.argv[1:]))
