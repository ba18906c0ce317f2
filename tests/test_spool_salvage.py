"""What is salvaged of a damaged spool: every page that can be read, however many cannot; what is lost is counted."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from world.readings import START, readings, spool_in

from agent.ledger import Cause
from agent.spool import Spool
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


def edit(directory: Path, sql: str) -> None:
    """Change the closed spool behind the agent's back."""
    db = sqlite3.connect(directory / "spool.db")
    db.execute(sql)
    db.commit()
    db.close()


def salvaged(spool: Spool) -> set[int]:
    """The numbers in the spool once the damage was met and all that can be read was brought in."""
    spool.head()
    for second in range(2):
        spool.append(readings(90_000 + second))
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
    edit(tmp_path, "UPDATE state SET first_seq = 1")  # as in a file of an agent that did not write it
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
