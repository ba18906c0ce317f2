"""A disk that refuses: full, read-only, or full from the start. Real ones, mounted for the test."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from world.disk import Disk
from world.readings import START, reading, readings, spool_in

from agent.reading import Reading
from agent.spool import Limits, Spool

SMALL = Limits(max_readings=5000)


def test_a_full_disk_goes_on_storing_within_the_preallocated_file(disk: Disk) -> None:
    with spool_in(disk.path) as spool:
        disk.fill()
        for number in range(2000):
            spool.append(readings(number))
        assert spool.counts().trouble == ""


def test_room_is_what_the_file_has_free_and_the_disk_besides(disk: Disk) -> None:
    """A disk of 4 MB cannot take 300,000 readings; a full one has room within the file."""
    with spool_in(disk.path, SMALL) as spool:
        assert spool.counts().fits is None
        spool.append(readings(0))
        before, free = spool.counts().fits, os.statvfs(disk.path).f_bavail * 4096
        assert before is not None
        assert free // 28 + 5000 < before < free // 28 + 12_000  # the past's room is the queue's if need be
        disk.fill()
        spool.append(readings(1))
        assert 5000 < (spool.counts().fits or 0) < 12_000


def test_what_was_stored_on_a_full_disk_is_there_after_a_restart(disk: Disk) -> None:
    with spool_in(disk.path) as spool:
        disk.fill()
        spool.append(readings(1, 2))
    with spool_in(disk.path) as spool:
        assert [spooled.reading for spooled in spool.head()] == readings(1, 2)


def test_a_restart_on_a_full_disk_keeps_the_room_to_store(disk: Disk) -> None:
    spool_in(disk.path).close()
    disk.fill()
    spool_in(disk.path).close()
    with spool_in(disk.path) as spool:
        for number in range(2000):
            spool.append(readings(number))
        assert spool.counts().trouble == ""


def test_a_full_spool_on_a_full_disk_drops_its_oldest(disk: Disk) -> None:
    with spool_in(disk.path, Limits(max_readings=2000)) as spool:
        disk.fill()
        for number in range(0, 4000, 8):
            spool.append(readings(*range(number, number + 8)))
        assert (spool.counts().trouble, spool.counts().pending, spool.counts().dropped) == ("", 2000, 2000)


def test_a_full_spool_that_would_be_thinned_stays_usable_on_a_full_disk(disk: Disk) -> None:
    with spool_in(disk.path, Limits(max_readings=20_000, thin=True)) as spool:
        disk.fill()
        for number in range(0, 24_000, 500):
            spool.append(readings(*range(number, number + 500)))
        counts = spool.counts()
        assert counts.trouble == ""
        assert counts.pending + counts.dropped == 24_000


def beyond_the_preallocated(disk: Disk) -> Spool:
    """A spool that has grown into a full disk: its next commit is refused."""
    spool = spool_in(disk.path, Limits(max_readings=50))
    spool.limits = Limits()
    disk.fill()
    for number in range(0, 100_000, 200):
        spool.append(readings(*range(number, number + 200)))
        if spool.counts().trouble:
            return spool
    raise AssertionError("the disk was never full")


def test_readings_that_the_disk_refuses_stay_in_memory_and_are_delivered(disk: Disk) -> None:
    with beyond_the_preallocated(disk) as spool:
        before = spool.counts()
        assert "full" in before.trouble
        pending = spool.head(before.pending + 1)
        assert len(pending) == before.pending
        spool.ack(pending[-1].seq)
        assert spool.counts().pending == before.pending - 1
        disk.free()


def deliver(spool: Spool, most: int = 1 << 30) -> None:
    """Have the oldest acknowledged, so many at the least if there are so many."""
    while most > 0 and (found := spool.head()):
        for each in found:
            spool.ack(each.seq)
        most -= len(found)


def in_the_file(directory: Path, elsewhere: Path) -> int:
    """How many pending readings a power cut would leave."""
    for file in directory.glob("spool.db*"):
        shutil.copy(file, elsewhere)
    with Spool(elsewhere / "spool.db") as spool:
        return spool.counts().pending


def test_a_file_that_is_used_up_on_a_full_disk_stores_again_once_it_was_delivered(disk: Disk, tmp_path: Path) -> None:
    with beyond_the_preallocated(disk) as spool:
        deliver(spool)
        spool.append(readings(200_000))
        assert (spool.counts().trouble, in_the_file(disk.path, tmp_path)) == ("", 1)


def test_a_backlog_that_was_delivered_between_two_ticks_leaves_a_file_on_a_full_disk(
    disk: Disk, tmp_path: Path
) -> None:
    with spool_in(disk.path, Limits(max_readings=40_000)) as spool:
        disk.fill()
        for number in range(0, 20_000, 500):
            spool.append(readings(*range(number, number + 500)))
        deliver(spool)
        spool.append(readings(20_000, 20_001))
        assert (spool.counts().trouble, in_the_file(disk.path, tmp_path)) == ("", 2)


def test_a_memory_of_more_than_a_commit_takes_reaches_a_file_on_a_full_disk(disk: Disk, tmp_path: Path) -> None:
    with spool_in(disk.path, Limits(max_readings=40_000)) as spool:
        disk.fill()
        spool.append(readings(*range(20_000)))
        assert (spool.counts().trouble, in_the_file(disk.path, tmp_path)) == ("", 20_000)


def test_held_readings_of_more_than_a_commit_on_a_full_disk_are_released(disk: Disk) -> None:
    with spool_in(disk.path, Limits(max_readings=2000)) as spool:
        disk.fill()
        spool.append([Reading("attic", 20_000, second) for second in range(12_000)], boot_id="a")
        assert spool.counts().dropped == 10_000
        assert spool.release("a", offset_seconds=START) == 2000
        assert (spool.counts().held, len(spool.head(3000))) == (0, 2000)


def test_a_limit_made_smaller_on_a_full_disk_is_kept(disk: Disk, tmp_path: Path) -> None:
    with spool_in(disk.path, Limits(max_readings=40_000)) as spool:
        for number in range(0, 20_000, 500):
            spool.append(readings(*range(number, number + 500)))
        disk.fill()
        spool.limits = Limits(max_readings=1500)
        spool.append(readings(20_000))
        assert (spool.counts().trouble, spool.counts().dropped) == ("", 18_501)
        assert in_the_file(disk.path, tmp_path) == 1500


def test_a_limit_made_smaller_frees_a_file_that_is_used_up(disk: Disk, tmp_path: Path) -> None:
    with beyond_the_preallocated(disk) as spool:
        spool.limits = Limits(max_readings=1500)
        spool.append(readings(200_000))
        assert (spool.counts().trouble, in_the_file(disk.path, tmp_path)) == ("", 1500)


def test_readings_past_their_age_free_a_file_that_is_used_up(disk: Disk) -> None:
    with beyond_the_preallocated(disk) as spool:
        later = reading(200_000)
        spool.append([later], utc=later.unix_seconds + Limits().max_age_seconds)
        assert spool.counts().trouble == ""


def test_a_backlog_past_its_age_leaves_a_full_disk_by_and_by(disk: Disk) -> None:
    with spool_in(disk.path, Limits(max_readings=40_000)) as spool:
        for number in range(0, 20_000, 500):
            spool.append([Reading("attic", 20_000, START + second) for second in range(number, number + 500)])
        disk.fill()
        later = START + 400 * 86_400
        for tick in range(20):
            spool.append([Reading("attic", 20_000, later + tick)], utc=float(later + tick))
            assert spool.counts().trouble == ""
        assert [each.reading.unix_seconds for each in spool.head()] == [later + tick for tick in range(20)]
        assert spool.counts().dropped == 20_000


def test_what_grows_beyond_the_preallocated_is_in_the_file_and_not_in_its_wal(disk: Disk, tmp_path: Path) -> None:
    with spool_in(disk.path, Limits(max_readings=50)) as spool:
        spool.limits = Limits()
        for number in range(0, 20_000, 100):
            spool.append(readings(*range(number, number + 100)))
            with spool.shelf() as shelf:
                pages = shelf.file.ask(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
            assert (disk.path / "spool.db").stat().st_size >= pages * 512
        disk.fill()
        deliver(spool)
        spool.append(readings(20_000))
        assert (spool.counts().trouble, in_the_file(disk.path, tmp_path)) == ("", 1)


def test_readings_in_memory_reach_the_file_once_there_is_room(disk: Disk) -> None:
    with beyond_the_preallocated(disk) as spool:
        pending = spool.counts().pending
        disk.free()
        spool.append(readings(200_000))
        assert spool.counts().trouble == ""
    with Spool(disk.path / "spool.db") as spool:
        assert spool.counts().pending == pending + 1


def test_numbers_given_while_the_disk_refuses_are_never_given_again(disk: Disk, tmp_path: Path) -> None:
    with beyond_the_preallocated(disk) as spool:
        seen = {spooled.seq for spooled in spool.head(100_000)}
        for file in disk.path.glob("spool.db*"):  # what a power cut would leave
            shutil.copy(file, tmp_path)
    with Spool(tmp_path / "spool.db") as after:
        stored = {spooled.seq for spooled in after.head(100_000)}
        after.append(readings(*range(500)))
        given = {spooled.seq for spooled in after.head(200_000)} - stored
    assert not given & seen


def test_memory_is_bounded_and_what_it_cannot_keep_is_counted(disk: Disk) -> None:
    with beyond_the_preallocated(disk) as spool:
        before = spool.counts()
        for number in range(0, 30_000, 1000):
            spool.append(readings(*range(number, number + 1000)))
        after = spool.counts()
        assert after.pending + after.dropped == before.pending + before.dropped + 30_000
        assert after.dropped >= 10_000
        disk.free()


def test_a_disk_without_room_for_the_preallocated_file_takes_a_small_one(disk: Disk) -> None:
    disk.fill()
    with (disk.path / "ballast").open("r+b") as ballast:
        ballast.truncate((disk.path / "ballast").stat().st_size - (400 << 10))
    with Spool(disk.path / "spool.db") as spool:  # wants 8 MiB
        spool.append(readings(1, 2))
        assert spool.counts().trouble == ""
    with Spool(disk.path / "spool.db") as spool:
        assert [spooled.reading for spooled in spool.head()] == readings(1, 2)


def test_a_disk_without_any_room_is_named_and_nothing_is_left_behind(disk: Disk) -> None:
    disk.fill()
    with Spool(disk.path / "spool.db") as spool:
        assert "cannot be opened" in spool.counts().trouble
        assert [path.name for path in disk.path.iterdir()] == ["ballast"]


def test_without_any_room_readings_are_taken_and_delivered_from_memory(disk: Disk) -> None:
    disk.fill()
    with Spool(disk.path / "spool.db") as spool:
        spool.append(readings(1, 2))
        first, second = spool.head()
        assert [first.reading, second.reading] == readings(1, 2)
        spool.ack(first.seq)
        assert (spool.head(), spool.counts().pending) == ([second], 1)
        spool.ack(second.seq)


def test_once_there_is_room_the_file_is_made_and_takes_what_is_in_memory(disk: Disk) -> None:
    disk.fill()
    with spool_in(disk.path) as spool:
        spool.append(readings(1))
        disk.free()
        spool.append(readings(2))
        assert spool.counts().trouble == ""
    with spool_in(disk.path) as spool:
        assert [spooled.reading for spooled in spool.head()] == readings(1, 2)


def test_a_disk_that_is_read_only_at_the_start_is_named_and_costs_nothing_that_is_on_it(disk: Disk) -> None:
    with spool_in(disk.path) as spool:
        spool.append(readings(1, 2))
    disk.remount("ro")
    with spool_in(disk.path) as spool:
        assert "mounted read-only" in spool.counts().trouble
        spool.append(readings(3))
        for spooled in spool.head():
            spool.ack(spooled.seq)
        spool.append(readings(4))
        disk.remount("rw")
        spool.append(readings(5))
        assert spool.counts().trouble == ""
        assert [spooled.reading for spooled in spool.head()] == readings(1, 2, 4, 5)


CHILD = """
import resource, signal, sys
from pathlib import Path
from world.readings import readings, spool_in
spool = spool_in(Path(sys.argv[1]))
spool.append(readings(1))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))  # every write fails with EFBIG
spool.append(readings(2))
spool.append(readings(3))
assert spool.counts().trouble, "the disk did not refuse"
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.append(readings(4))
spool.append(readings(5))
print(spool.counts().trouble, [each.reading.milli_celsius for each in spool.head()])
spool.close()
"""


def test_after_an_input_output_error_the_spool_opens_its_file_again(tmp_path: Path) -> None:
    environ = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], env=environ, capture_output=True, text=True, check=False
    )
    assert done.stderr.split("\n") == ["spool not storing, readings stay in memory", "spool storing again", ""]
    assert done.stdout.strip() == str([each.milli_celsius for each in readings(1, 2, 3, 4, 5)])
    with spool_in(tmp_path) as spool:
        assert [each.reading for each in spool.head()] == readings(1, 2, 3, 4, 5)
