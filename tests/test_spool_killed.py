"""A process killed in the middle of its work: nothing stored is lost, and at most one reading is sent again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from world.disk import Disk
from world.readings import spool_in

from agent.spool.watermark import Watermark

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

OVERTAKEN = """
import signal, sys
from pathlib import Path
from world.readings import readings, spool_in
spool = spool_in(Path(sys.argv[1]), watermark=Path(sys.argv[1]) / "watermark")
spool.append(readings(1, 2))
spool.append(readings(3), boot_id="a boot without the time")
first, second = spool.head()
spool.ack(second.seq)  # the first was refused, and is tried again after it
spool.head()
spool.set_aside(first.seq, status=400, reason="no")
print("both have left", flush=True)
signal.pause()
"""

REFUSED = """
import signal, sys
from itertools import count
from pathlib import Path
from world.disk import Disk
from world.readings import readings, spool_in
from agent.spool import Limits
disk = Disk(Path(sys.argv[1]))
spool = spool_in(disk.path, Limits(max_readings=50), watermark=disk.path.parent / "watermark")
spool.limits = Limits()
disk.fill()
for number in count(step=200):
    if spool.counts().trouble:
        break
    spool.append(readings(*range(number, number + 200)))
*before, last = spool.head(100_000)
for spooled in before:
    spool.ack(spooled.seq)
print(last.seq, flush=True)  # the shield has it, too, and its answer is on its way
signal.pause()
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


def test_one_that_overtook_a_refused_one_is_not_sent_again_after_a_kill_though_others_wait_for_the_clock(
    tmp_path: Path,
) -> None:
    run_and_kill(OVERTAKEN, tmp_path, after_lines=1)
    with spool_in(tmp_path, watermark=tmp_path / "watermark") as spool:
        assert spool.head() == []
        assert (spool.counts().held, spool.counts().set_aside) == (1, 1)


def test_readings_taken_after_a_kill_are_not_mistaken_for_delivered_ones(tmp_path: Path) -> None:
    from world.readings import readings

    with spool_in(tmp_path) as spool:
        spool.append(readings(*range(300)))
    run_and_kill(DRAINING, tmp_path, after_lines=301)
    with spool_in(tmp_path, watermark=tmp_path / "watermark") as spool:
        spool.append(readings(1000))
        assert spool.head()[-1].reading == readings(1000)[0]


def test_a_number_sent_while_the_disk_refused_is_not_given_again_after_a_kill(disk: Disk) -> None:
    from world.readings import readings

    (sent,) = run_and_kill(REFUSED, disk.path, after_lines=1)
    disk.free()
    with spool_in(disk.path, watermark=disk.path.parent / "watermark") as spool:
        spool.append(readings(200_000))
        assert [spooled.reading for spooled in spool.head()] == readings(200_000)
        assert spool.head()[0].seq > int(sent)


def test_readings_taken_before_the_file_opens_are_not_mistaken_for_delivered_ones(disk: Disk) -> None:
    from world.readings import readings

    watermark = disk.path.parent / "watermark"
    with spool_in(disk.path) as spool, spool.shelf() as shelf:
        left = Watermark(watermark, shelf.state.spool_id)
    left.write(1 << 42)  # as a process does that was killed while the disk refused
    left.close()
    disk.remount("ro")
    with spool_in(disk.path, watermark=watermark) as spool:
        is_new = spool.newcomers()
        spool.append(readings(1))
        disk.remount("rw")
        spool.append(readings(2))
        assert [spooled.reading for spooled in spool.head()] == readings(1, 2)
        assert [spooled.reading for spooled in spool.latest()] == readings(2)
        assert all(is_new(spooled) for spooled in spool.head())
        assert (spool.counts().pending, spool.counts().trouble) == (2, "")
