"""The ring of past readings: what was delivered stays known, thins as it ages, and never stands in the queue's way."""

import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world.disk import Disk
from world.readings import START, reading, readings, spool_in

from agent.reading import LATEST_SECOND, MILLI_LIMIT, Reading
from agent.spool import Limits, Spool, block, past
from agent.spool.block import ROWS, UNWRITTEN, WAIT_SECONDS, Tail, pack, thinned, unpack
from agent.spool.known import passed
from agent.spool.row import Spooled
from agent.spool.schema import PAST

FOREVER = (0, LATEST_SECOND)
ANY_READING = st.builds(
    Reading, st.sampled_from(["freezer", "é\n", ""]), st.integers(-MILLI_LIMIT, MILLI_LIMIT), st.integers(0, 1 << 32)
)


def deliver(spool: Spool, *numbers: int) -> None:
    """Store the readings in one tick and acknowledge them."""
    spool.append(readings(*numbers), utc=START)
    for spooled in spool.head(1000):
        spool.ack(spooled.seq)


def known(spool: Spool, since: int = 0, until: int = LATEST_SECOND) -> list[Spooled]:
    rows = [row for piece in passed(spool, since, until) for row in piece]
    return sorted(rows, key=lambda row: row.seq)


@settings(max_examples=40)
@given(st.lists(st.builds(Spooled, st.integers(1, 1 << 62), ANY_READING), min_size=1, max_size=20))
def test_a_block_gives_back_what_went_in(rows: list[Spooled]) -> None:
    packed = pack(rows)
    seconds = [row.reading.unix_seconds for row in rows]
    assert unpack(packed.body) == rows
    assert (packed.since, packed.until, packed.count) == (min(seconds), max(seconds), len(rows))


def test_a_damaged_block_is_an_error_and_not_another_temperature() -> None:
    body = bytearray(pack([Spooled(1, reading(1))]).body)
    body[-1] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        unpack(bytes(body))
    with pytest.raises(ValueError, match=r"."):
        unpack(zlib.compress(b"[]"))


def test_a_day_of_eight_sensors_packs_well() -> None:
    rows = [
        Spooled(tick * 8 + place, Reading(f"sensor-{place}", 20_000 + tick % 100 * 7 + place, START + tick * 10))
        for tick in range(64)
        for place in range(8)
    ]
    assert len(pack(rows).body) / len(rows) < 4


def test_thinning_keeps_the_first_of_each_sensor_and_stretch() -> None:
    rows = [Spooled(number, Reading(name, number, 600 * 1000 + number * 100)) for number in range(13) for name in "ab"]
    assert [(row.seq, row.reading.sensor) for row in thinned(rows, 600)] == [
        *((0, "a"), (0, "b"), (6, "a"), (6, "b"), (12, "a"), (12, "b"))
    ]


def test_a_tail_closes_its_block_when_that_is_full_or_has_waited() -> None:
    rows = [Spooled(number, Reading("a", 0, START)) for number in range(ROWS + 3)]
    full = Tail().after(rows, START)
    assert ([each.count for each in full.full], len(full.rows)) == ([ROWS], 3)
    waited = full.written().after([], START + WAIT_SECONDS - 1)
    assert waited.full == ()
    assert [each.count for each in waited.after([], START + WAIT_SECONDS).full] == [3]


def test_a_tail_that_no_commit_takes_along_is_bounded() -> None:
    rows = [Spooled(number, Reading("a", 0, START)) for number in range(ROWS * (UNWRITTEN + 2))]
    tail = Tail().after(rows, START)
    assert len(tail.full) == UNWRITTEN
    assert unpack(tail.full[0].body)[0].seq == 2 * ROWS


def test_what_was_delivered_is_known_at_once_and_after_a_restart(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        deliver(spool, 1, 2)
        deliver(spool, 3)
        assert [row.reading for row in known(spool)] == readings(1, 2)
    with spool_in(tmp_path) as spool:
        assert [(row.seq, row.reading) for row in known(spool)] == [*enumerate(readings(1, 2, 3), start=1)]
        assert [row.seq for row in known(spool, reading(2).unix_seconds, reading(2).unix_seconds)] == [2]
        assert spool.counts().pending == 0


def test_what_is_delivered_within_a_window_is_known_without_a_commit(tmp_path: Path) -> None:
    with spool_in(tmp_path, Limits(max_readings=5000, window_seconds=60)) as spool:
        spool.append(readings(0))
        deliver(spool, 1, 2)
        before = (tmp_path / "spool.db-wal").read_bytes()
        deliver(spool, 3)
        assert (tmp_path / "spool.db-wal").read_bytes() == before
        assert [row.reading for row in known(spool)] == readings(0, 1, 2, 3)


@pytest.mark.parametrize("how", ["set aside", "dropped"])
def test_what_left_otherwise_is_not_of_the_past(tmp_path: Path, how: str) -> None:
    with spool_in(tmp_path, Limits(max_readings=2 if how == "dropped" else 100)) as spool:
        spool.append(readings(1, 2, 3, 4))
        for spooled in spool.head() if how == "set aside" else ():
            spool.set_aside(spooled.seq, status=400, reason="no")
        spool.append(readings(5))
        assert known(spool) == []


def test_the_past_rides_on_a_tick_s_commit(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        for tick in range(100):
            deliver(spool, *range(8 * tick, 8 * tick + 8))
        changes = commits(spool, lambda: deliver(spool, 900))
        assert changes == 1
        assert len(known(spool)) == 800


def commits(spool: Spool, act) -> int:  # type: ignore[no-untyped-def]
    """How many commits the act costs, by what SQLite is told."""
    said: list[str] = []
    with spool.shelf() as shelf:
        shelf.file.db.set_trace_callback(said.append)
    act()
    with spool.shelf() as shelf:
        shelf.file.db.set_trace_callback(None)
    return said.count("COMMIT")


def test_the_past_thins_as_it_ages_and_stays_within_its_room(tmp_path: Path) -> None:
    days, each_day, small = 40, 288, 4000
    blocks = [
        pack([Spooled(at, Reading("freezer", at % 700, START + at * 300)) for at in range(first, first + 96)])
        for first in range(0, days * each_day, 96)
    ]
    with closing(sqlite3.connect(tmp_path / "spool.db")) as db:
        db.execute(PAST)
        past.store(db, blocks, room_bytes=past.room(300_000))
        found = db.execute("SELECT count(*), min(since) FROM past GROUP BY age ORDER BY age").fetchall()
        now = START + days * 86_400
        whole, tens, hours = ((now - since) / 86_400 for _, since in found)
        assert 1 <= whole < 5
        assert 8 <= tens < 22  # a batch goes when its youngest is old enough
        assert 39 < hours <= 40
        assert all(count < 100 for count, _ in found)

        past.store(db, blocks[-30:], room_bytes=small)
        assert db.execute("SELECT sum(length(body)) FROM past").fetchone()[0] < 2 * small


def test_a_long_drain_between_two_ticks_takes_its_beginning_whole_and_thins_the_rest(tmp_path: Path) -> None:
    many = block.BURST + 1000
    with Spool(tmp_path / "spool.db", limits=Limits(max_readings=20_000)) as spool:
        spool.append(readings(*range(many)))
        for spooled in spool.head(many):
            spool.ack(spooled.seq)
        spool.append(readings(many))
        whole = len([row for row in known(spool) if row.seq <= block.BURST])
        assert len(known(spool)) - whole in {100, 101, 102}
        assert whole > 0.75 * block.BURST  # less what is older than a day
        assert spool.counts().pending == 1


def test_a_full_disk_stores_the_past_within_the_preallocated_file(disk: Disk) -> None:
    with spool_in(disk.path, Limits(max_readings=20_000)) as spool:
        disk.fill()
        for tick in range(100):
            deliver(spool, *range(8 * tick, 8 * tick + 8))
        assert spool.counts().trouble == ""
        assert len(known(spool)) == 8 * 99


def test_the_past_gives_way_when_a_full_disk_has_no_room_for_what_is_pending(disk: Disk) -> None:
    old = pack([Spooled(number, reading(number * 7919 % 4999)) for number in range(1, 400)])
    with spool_in(disk.path, Limits(max_readings=2000)) as spool:
        disk.fill()
        with spool.shelf() as shelf:  # beyond its own room, as in a file that was made small
            while shelf.file.db.execute("PRAGMA freelist_count").fetchone()[0] > 60:
                with shelf.file.transaction() as db:
                    past.store(db, [old] * 5, room_bytes=1 << 30)
        for number in range(0, 2400, 8):
            spool.append(readings(*range(number, number + 8)))
        counts = spool.counts()
        assert (counts.trouble, counts.pending, counts.dropped) == ("", 2000, 400)


def test_a_file_without_a_ring_is_given_one(tmp_path: Path) -> None:
    spool_in(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "spool.db")) as db:
        db.executescript("DROP TABLE past; DROP TABLE again")
    with spool_in(tmp_path) as spool:
        deliver(spool, 1)
        spool.append(readings(2))
        assert [row.reading for row in known(spool)] == readings(1)


def test_a_damaged_block_costs_itself_alone(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        deliver(spool, 1)
    with spool_in(tmp_path) as spool:
        deliver(spool, 2)
    with closing(sqlite3.connect(tmp_path / "spool.db")) as db:
        db.execute("UPDATE past SET body = x'00' WHERE id = 1")
        db.commit()
    with spool_in(tmp_path) as spool:
        assert [row.reading for row in known(spool)] == readings(2)


def test_an_agent_from_before_the_ring_finds_its_version_and_what_is_unsent(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        deliver(spool, 1)
        spool.append(readings(2, 3))
    with closing(sqlite3.connect(tmp_path / "spool.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)  # what that agent takes; a higher one it refuses
        sql = "SELECT seq, seconds, milli, boot, crc FROM reading JOIN sensor ON sensor.id = sensor ORDER BY seq"
        assert [row[0] for row in db.execute(sql)] == [2, 3]
