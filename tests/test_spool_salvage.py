"""What is salvaged of a damaged spool: every page that can be read, however many cannot; what is lost is counted."""

import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from world.readings import START, reading, readings, spool_in

from agent.ledger import Cause
from agent.spool import Limits, Spool
from agent.spool.blank import PAGE

MANY = 3000
ROWS = 17  # fewer are on no page but the last, and on none of the small tables


def filled(directory: Path, *, delivered: int = 0) -> None:
    with spool_in(directory) as spool:
        for number in range(0, delivered, 100):
            spool.append(readings(*range(number, number + 100)))
            for spooled in spool.head(100):
                spool.ack(spooled.seq)
        for number in range(delivered, delivered + MANY, 100):
            spool.append(readings(*range(number, number + 100)))


def pages(directory: Path, kind: int) -> list[int]:
    """Where in the file the pages of readings are, oldest first: 13 for leaves, 5 for what stands above them."""
    data = (directory / "spool.db").read_bytes()
    every = range(0, len(data), PAGE)
    return [place for place in every if data[place] == kind and int.from_bytes(data[place + 3 : place + 5]) >= ROWS]


def overwrite(directory: Path, places: Sequence[int]) -> None:
    with (directory / "spool.db").open("r+b") as file:
        for place in places:
            file.seek(place)
            file.write(b"\xa5" * PAGE)


def asked(directory: Path, sql: str) -> list[Any]:
    """What the closed spool says behind the agent's back; it may change it."""
    db = sqlite3.connect(directory / "spool.db")
    found = db.execute(sql).fetchall()
    db.commit()
    db.close()
    return found


def salvaged(spool: Spool) -> set[int]:
    """The numbers in the spool once the damage was met and all that can be read was brought in."""
    spool.head()
    for second in range(2):
        spool.append(readings(90_000 + second), now=1000.0 * second)
    return {spooled.seq for spooled in spool.head(100_000)}


@pytest.mark.parametrize(
    ("damaged", "most"),
    [
        (slice(5, 6), 22),
        (slice(0, 1), 22),
        (slice(-1, None), 22),
        (slice(0, 9), 9 * 22),
        (slice(3, None, 7), 20 * 22),
        (slice(1, None, 2), 70 * 22),
    ],
    ids=["one page", "the first", "the last", "a block and more", "every seventh", "every other"],
)
def test_every_reading_on_another_page_is_salvaged_and_the_lost_ones_are_counted(
    tmp_path: Path, damaged: slice, most: int
) -> None:
    filled(tmp_path)
    overwrite(tmp_path, pages(tmp_path, 13)[damaged])
    with spool_in(tmp_path) as spool:
        there = salvaged(spool)
        lost = set(range(1, MANY + 1)) - there
        assert 0 < len(lost) <= most
        assert spool.counts().damaged == len(lost)
        assert there == set(range(1, max(there) + 1)) - lost
        holes = [gap for gap in spool.gaps() if gap.cause is Cause.DAMAGED]
        assert sum(gap.count for gap in holes) == len(lost)
        seconds = [START + (seq - 1) * 60 for seq in lost if seq > min(there)]  # nothing tells when it began
        assert all(any(gap.since <= second <= gap.until for gap in holes) for second in seconds)


def test_the_lost_beginning_of_a_long_lived_spool_costs_one_page_and_no_more(tmp_path: Path) -> None:
    delivered = 12_000
    filled(tmp_path, delivered=delivered)
    overwrite(tmp_path, pages(tmp_path, 13)[:1])
    with spool_in(tmp_path) as spool:
        lost = set(range(delivered + 1, delivered + MANY + 1)) - salvaged(spool)
        assert 0 < len(lost) <= 22
        assert spool.counts().damaged == len(lost)


def test_where_the_file_does_not_say_how_it_began_the_rest_is_found_all_the_same(tmp_path: Path) -> None:
    delivered = 12_000
    filled(tmp_path, delivered=delivered)
    overwrite(tmp_path, pages(tmp_path, 13)[:1])
    asked(tmp_path, "UPDATE state SET first_seq = 1")  # as in a file of an agent that did not write it
    with spool_in(tmp_path) as spool:
        assert len(set(range(delivered + 1, delivered + MANY + 1)) - salvaged(spool)) <= 22


def test_a_page_far_up_in_the_tree_costs_what_is_below_it(tmp_path: Path) -> None:
    filled(tmp_path)
    overwrite(tmp_path, pages(tmp_path, 5)[1:2])
    with spool_in(tmp_path) as spool:
        lost = set(range(1, MANY + 1)) - salvaged(spool)
        assert 0 < len(lost) < MANY / 2
        assert spool.counts().damaged == len(lost)


def test_what_has_left_is_not_lost(tmp_path: Path) -> None:
    filled(tmp_path)
    with spool_in(tmp_path, watermark=tmp_path / "watermark") as spool:
        for spooled in spool.head(10):
            spool.ack(spooled.seq)
        overwrite(tmp_path, pages(tmp_path, 13)[:1])
        lost = set(range(11, MANY + 1)) - salvaged(spool)
        assert spool.counts().damaged == len(lost)


def test_a_row_that_is_not_whole_costs_itself(tmp_path: Path) -> None:
    filled(tmp_path)
    overwrite(tmp_path, pages(tmp_path, 13)[-2:-1])
    data = bytearray((tmp_path / "spool.db").read_bytes())
    page = pages(tmp_path, 13)[0]
    cell = page + int.from_bytes(data[page + 8 : page + 10])
    assert data[cell + 2 : cell + 4] == b"\x07\x00"  # a head of seven bytes, and NULL for the number, which is the key
    data[cell + 3 + 4] = 0  # NULL for its boot as well
    (tmp_path / "spool.db").write_bytes(data)
    with spool_in(tmp_path) as spool:
        lost = set(range(1, MANY + 1)) - salvaged(spool)
        assert len(lost) <= 23
        assert 1 in lost
        assert spool.counts().damaged == len(lost)


def test_a_damaged_file_that_somebody_has_open_is_waited_for(tmp_path: Path) -> None:
    filled(tmp_path)
    [[root]] = asked(tmp_path, "SELECT rootpage FROM sqlite_master WHERE name = 'boot'")
    overwrite(tmp_path, [*pages(tmp_path, 13)[:1], (root - 1) * PAGE])  # the latter is seen at the start
    with spool_in(tmp_path) as spool:
        spool.append(readings(90_000))
        left = spool.counts().salvage_left
        assert left > 0
    somebody = sqlite3.connect(tmp_path / "spool.db.damaged-1", isolation_level=None)
    somebody.execute("BEGIN")
    somebody.execute("SELECT * FROM state").fetchall()
    with spool_in(tmp_path) as spool:
        spool.append(readings(90_002))
        spool.head()
        assert (spool.counts().salvage_left, spool.counts().damaged, spool.counts().trouble) == (left, 0, "")
        somebody.close()
        assert 0 < len(set(range(1, MANY + 1)) - salvaged(spool)) <= 22


def test_pages_that_are_not_those_that_belong_there_end_the_salvage_all_the_same(tmp_path: Path) -> None:
    filled(tmp_path)
    every = pages(tmp_path, 13)
    data = bytearray((tmp_path / "spool.db").read_bytes())
    for place, origin in ((3, 90), (40, 12), (41, 100), (77, 5)):
        data[every[place] : every[place] + PAGE] = data[every[origin] : every[origin] + PAGE]
    place, origin = pages(tmp_path, 5)[1:3]
    data[place : place + PAGE] = data[origin : origin + PAGE]
    (tmp_path / "spool.db").write_bytes(data)
    with spool_in(tmp_path) as spool:
        there = salvaged(spool)
        assert len(there) > MANY / 3
        assert spool.counts().salvage_left == 0


def test_islands_in_a_sea_of_bad_pages_are_found(tmp_path: Path) -> None:
    filled(tmp_path)
    every = pages(tmp_path, 13)
    overwrite(tmp_path, [page for place, page in enumerate(every) if place < 30 or 33 <= place < 120])
    with spool_in(tmp_path) as spool:
        there = salvaged(spool)
        assert len(there & set(range(600, 760))) >= 3 * ROWS
        assert len(there) >= (len(every) - 117) * ROWS


def test_numbers_that_were_taken_in_advance_are_not_lost(tmp_path: Path) -> None:
    window = Limits(max_readings=5000, window_seconds=60)
    with spool_in(tmp_path, window) as spool:
        for number in range(0, 500, 10):
            spool.append(readings(*range(number, number + 10)), now=float(number))
        shutil.copytree(tmp_path, tmp_path / "killed")
    asked(tmp_path / "killed", "PRAGMA wal_checkpoint(TRUNCATE)")
    overwrite(tmp_path / "killed", pages(tmp_path / "killed", 13)[-1:])
    with spool_in(tmp_path / "killed", window) as spool:
        salvaged(spool)
        assert 0 < spool.counts().damaged <= 22


def test_what_is_lost_is_shared_by_the_sensors_it_may_have_been_of(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        for number in range(200):
            spool.append([reading(number, sensor) for sensor in "abcd"])
    overwrite(tmp_path, pages(tmp_path, 13)[3:4])
    with spool_in(tmp_path) as spool:
        salvaged(spool)
        counts = {gap.sensor: gap.count for gap in spool.gaps() if gap.cause is Cause.DAMAGED}
        assert sum(counts.values()) == spool.counts().damaged
        assert set(counts) == set("abcd")
        assert max(counts.values()) - min(counts.values()) <= 1


def test_a_number_that_is_text_and_no_utf8_costs_its_row(tmp_path: Path) -> None:
    filled(tmp_path)
    overwrite(tmp_path, pages(tmp_path, 13)[-2:-1])
    data = bytearray((tmp_path / "spool.db").read_bytes())
    page = pages(tmp_path, 13)[0]
    cell = page + int.from_bytes(data[page + 8 : page + 10])
    assert data[cell + 4 + 1] == 4  # its seconds are a number of four bytes
    data[cell + 4 + 1] = 21  # a text of four bytes
    (tmp_path / "spool.db").write_bytes(data)
    with spool_in(tmp_path) as spool:
        assert 0 < len(set(range(1, MANY + 1)) - salvaged(spool)) <= 23


def test_a_damaged_file_that_cannot_be_opened_holds_up_nobody(tmp_path: Path) -> None:
    filled(tmp_path)
    [[root]] = asked(tmp_path, "SELECT rootpage FROM sqlite_master WHERE name = 'boot'")
    overwrite(tmp_path, [(root - 1) * PAGE])
    with spool_in(tmp_path) as spool:
        spool.append(readings(90_000))
    (tmp_path / "spool.db.damaged-1").unlink()
    (tmp_path / "spool.db.damaged-1").mkdir()
    with spool_in(tmp_path) as spool:
        assert len(salvaged(spool)) >= 1_000
        assert spool.counts().salvage_left == 0
        assert spool.counts().damaged <= MANY - 1_000


def test_a_name_that_is_no_text_is_damage(tmp_path: Path) -> None:
    filled(tmp_path)
    data = (tmp_path / "spool.db").read_bytes()
    (tmp_path / "spool.db").write_bytes(data.replace(b"freezer", b"\xe6reezer"))
    with spool_in(tmp_path) as spool:
        spool.append(readings(90_000))
        assert spool.counts().trouble == ""
        assert (tmp_path / "spool.db.damaged-1").exists()


def test_a_file_whose_ends_were_added_by_half_gets_the_other_half(tmp_path: Path) -> None:
    filled(tmp_path)
    asked(tmp_path, "ALTER TABLE state DROP COLUMN last_seq")
    with spool_in(tmp_path) as spool:
        spool.append(readings(90_000))
        assert (spool.counts().trouble, spool.counts().pending) == ("", MANY + 1)
