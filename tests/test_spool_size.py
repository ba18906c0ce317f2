"""A year of backlog: what it costs on disk and in memory."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from world.readings import readings, spool_in

from agent.spool import Spool, past

MANY = 300_000

CHILD = """
import resource, sys, time
from pathlib import Path
from agent.spool import Limits, Spool
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.process_time()
spool = Spool(Path(sys.argv[1]), limits=Limits(max_readings=int(sys.argv[2]), thin=sys.argv[3:] == ["thin"]))
for _ in range(50):
    assert len(spool.head()) == 64
    spool.counts()
seconds = time.process_time() - started
if sys.argv[3:] == ["told"]:
    import json
    from agent import desk
    question = {"ask": "readings"}
    lines = desk.answer(spool, question, may_change=False, wake=lambda: None)
    told = sum(len(line["known"]) for line, _ in zip(lines, range(100)) if json.dumps(line))
    assert told == 100_000, told
elif len(sys.argv) > 3:
    from world.readings import readings, spool_in
    spool.append(readings(1))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, seconds, spool.counts().pending)
"""


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spool with a year's readings, closed."""
    path = tmp_path_factory.mktemp("year") / "spool.db"
    with Spool(path) as spool:
        for number in range(0, MANY, 10_000):
            spool.append(readings(*range(number, number + 10_000)))
    return path


def measure(path: Path, *arguments: str) -> list[float]:
    environ = {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), *arguments], env=environ, check=True, capture_output=True, text=True
    )
    return [float(word) for word in done.stdout.split()]


def test_a_year_at_one_a_minute_is_small_on_disk(year: Path) -> None:
    beside = past.room(MANY)  # for what has been delivered
    assert (year.stat().st_size - beside) / MANY < 29


def test_a_year_at_one_a_minute_opens_in_constant_memory(year: Path) -> None:
    kib, seconds, pending = measure(year, str(MANY))
    assert pending == MANY
    assert kib < 1500
    assert seconds < 0.5


def test_thinning_a_year_needs_little_memory(year: Path, tmp_path: Path) -> None:
    shutil.copy(year, tmp_path)
    kib, _, pending = measure(tmp_path / "spool.db", str(MANY - 1), "thin")
    assert pending < 0.76 * MANY
    assert kib < 4000


def test_telling_a_year_to_a_command_needs_no_more_memory(year: Path) -> None:
    kib, _, pending = measure(year, str(MANY), "told")
    assert pending == MANY
    assert kib < 3000


def test_a_tick_of_a_short_queue_writes_two_blocks(tmp_path: Path) -> None:
    wal = tmp_path / "spool.db-wal"
    before = b""
    with spool_in(tmp_path) as spool:
        for number in range(4):
            before = wal.read_bytes()
            spool.append(readings(*[number] * 8))  # within a minute, so that no block of the past rides along
            for spooled in spool.head():
                spool.ack(spooled.seq)
        after = wal.read_bytes()
    changed = [place for place in range(len(after)) if after[place] != before[place]]
    assert changed[-1] - changed[0] < 9000  # 16 frames of 536 bytes; with the state in another block, 23
