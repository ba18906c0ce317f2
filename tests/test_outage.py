"""Eight hours without a shield, then one that drops, forgets and refuses: everything arrives, in order, once."""

import json
import math
import threading
import time
from pathlib import Path

from world.identities import put_pair
from world.rig import Rig

from agent.cli import parts
from agent.clock import Clock
from agent.config import load
from agent.reading import Reading
from agent.sampler import Sampler
from agent.ticks import Ticks

HOURS = 8
EVERY = 60.0
SENSORS = "".join(
    f'[[sensors]]\nname = "s{place}"\ndriver = "simulated"\ncelsius = {place * 10 - 20}\ninterval_seconds = {EVERY:g}\n'
    for place in range(4)
)


def test_eight_hours_of_outage_are_drained_in_order(tmp_path: Path) -> None:
    with Rig(tmp_path, sensors=SENSORS) as rig:
        rig.enroll()
        config = load(rig.config)
        now = 0.0
        begun = 1_795_000_000.0
        with parts.spool(config, rig.board) as spool:
            clock = Clock(rig.board, wall=lambda: begun + now, since_boot=lambda: now, boot_id="boot")
            probes = parts.probes(config, rig.board, wait=threading.Event().wait)
            sampler = Sampler(probes, clock, monotonic=lambda: now)
            ticks = Ticks(probes, sampler, spool, clock, monotonic=lambda: now)
            while now < HOURS * 3600:
                ticks.tick()
                now = ticks.next_due
            sampler.close()
            expected = HOURS * 3600 // EVERY * 4
            assert spool.counts().pending == expected

            assert rig.shield is not None
            rig.shield.faults.put("shield", ["503*2", "lost*1", "drop*1", "429:0*1"])
            flush = parts.flush(spool, parts.plan(config, rig.board), jitter=lambda: 0.0)
            deadline = time.monotonic() + 120
            while spool.counts().pending:
                flush.step()
                assert time.monotonic() < deadline, spool.counts()
            assert flush.delivered.ambiguous == 2
            flush.close()

        keys = [int(row["idempotency_key"].strip('"').rpartition("-")[2]) for row in rig.stored()]
        assert len(keys) - len(set(keys)) == 1  # the lost answer: stored, and sent again with the same key
        assert keys == sorted(keys)
        assert len(set(keys)) == expected
        times = [json.loads(row["body"])["time"] for row in rig.stored()]
        assert times == sorted(times)


def test_a_double_of_a_clock_once_far_ahead_is_no_proof_after_a_restart(tmp_path: Path) -> None:
    twins = [Reading("attic", 21_000, 1_890_000_000), Reading("cellar", 21_000, 1_890_000_000)]
    with Rig(tmp_path) as rig:
        rig.enroll()
        config = load(rig.config)
        with parts.spool(config, rig.board) as spool:
            spool.append(twins)
            flush = parts.flush(spool, parts.plan(config, rig.board), jitter=lambda: 0.0)
            flush.step()  # the first twin is stored, the other waits
            flush.close()
            spool.append([Reading("attic", 20_000, 1_795_000_000)])  # the clock is right again
        assert rig.shield is not None
        rig.shield.faults.put("shield", ["drop*1"])
        with parts.spool(config, rig.board) as spool:
            flush = parts.flush(spool, parts.plan(config, rig.board), jitter=lambda: 0.0)
            deadline = time.monotonic() + 60
            while flush.step() != math.inf:
                assert time.monotonic() < deadline, spool.counts()
            assert flush.delivered.ambiguous == 1
            flush.close()
        assert [row["idempotency_key"].strip('"').rpartition("-")[2] for row in rig.stored()] == ["1", "2", "3"]


def test_an_identity_of_somebody_else_is_refused_and_the_readings_wait(tmp_path: Path) -> None:
    with Rig(tmp_path, sensors=SENSORS) as rig:
        put_pair(rig.directory / "etc")
        done = rig.run("run", "--once")
        assert done.returncode == 77
        assert "pending 4, line hold" in done.stdout
