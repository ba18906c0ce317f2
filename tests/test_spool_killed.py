"""A process killed in the middle of its work: nothing stored is lost, and at most one reading is sent again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from world.readings import spool_in

APPENDING = """
import sys
from pathlib import Path
from world.readings import readings, spool_in
spool = spool_in(Path(sys.argv[1]))
for number in range(100_000):
    spool.append(readings(number))
    print(number, flush=True)
"""

DRAINING = """
import sys
from pathlib import Path
from world.readings import readings, spool_in
spool = spool_in(Path(sys.argv[1]), watermark=Path(sys.argv[1]) / "watermark")
print("ready", flush=True)
while pending := spool.head(16):
    for spooled in pending:
        print(spooled.seq, flush=True)  # the shield has it now
        spool.ack(spooled.seq)
"""


def run_and_kill(script: str, directory: Path, *, after_lines: int) -> list[str]:
    """What the child printed until it was killed, soon after it had printed that many lines."""
    environ = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(directory)], env=environ, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline().strip() for _ in range(after_lines)]
        child.kill()
        return lines + child.stdout.read().split()


@pytest.mark.parametrize("after", [1, 40, 333])
def test_killed_while_appending_loses_nothing(tmp_path: Path, after: int) -> None:
    stored = run_and_kill(APPENDING, tmp_path, after_lines=after)
    with spool_in(tmp_path) as spool:
        pending = [spooled.reading.milli_celsius for spooled in spool.head(100_000)]
    assert pending[: len(stored)] == [-18_000 + 10 * int(number) for number in stored]
    assert len(pending) - len(stored) <= 1  # one may have been stored without being told


@pytest.mark.parametrize("after", [2, 17, 250])
def test_killed_while_draining_sends_at_most_one_reading_again(tmp_path: Path, after: int) -> None:
    from world.readings import readings

    with spool_in(tmp_path) as spool:
        spool.append(readings(*range(4000)))
    sent = [int(seq) for seq in run_and_kill(DRAINING, tmp_path, after_lines=after)[1:]]
    assert len(sent) < 4000
    with spool_in(tmp_path, watermark=tmp_path / "watermark") as spool:
        left = [spooled.seq for spooled in spool.head(4000)]
    assert len(set(sent) & set(left)) <= 1
    assert set(sent) | set(left) == set(range(1, 4001))


def test_readings_taken_after_a_kill_are_not_mistaken_for_delivered_ones(tmp_path: Path) -> None:
    from world.readings import readings

    with spool_in(tmp_path) as spool:
        spool.append(readings(*range(300)))
    run_and_kill(DRAINING, tmp_path, after_lines=301)
    with spool_in(tmp_path, watermark=tmp_path / "watermark") as spool:
        spool.append(readings(1000))
        assert spool.head()[-1].reading == readings(1000)[0]
