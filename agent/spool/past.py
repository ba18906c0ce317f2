"""The ring of past readings: what has left the queue stays known, whole for a day and thinner as it ages.

It asks for no commit: its blocks ride on a tick's. It is bounded in bytes, and gives way when the disk is full.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import Final

from agent.record import dataclass
from agent.spool import block, table
from agent.spool.block import Block
from agent.spool.row import Spooled

ROOM_BYTES: Final = 1 << 20
BYTES_PER_READING: Final = 4  # of a spool's own bound: a small spool has a small past
BATCH: Final = 8  # blocks thinned into one at a time: keeps a commit within the WAL's room
DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Age:
    """Blocks stay of this age for so many `seconds` and within this `share` of the room; then one reading in
    `then_every` seconds goes on to the next age, none if it is 0.
    """

    seconds: int
    share: float
    then_every: int


AGES: Final = (Age(DAY, 0.5, 600), Age(7 * DAY, 0.25, 3600), Age(365 * DAY, 0.25, 0))


def room(max_readings: int) -> int:
    """Bytes that the ring of a spool of that many readings may fill: 1 MiB, which is a year of twenty sensors."""
    return min(ROOM_BYTES, max_readings * BYTES_PER_READING)


def leaving(db: sqlite3.Connection, *, floor: int, above: Iterable[int]) -> Iterator[Spooled]:
    """The readings that are to be deleted because they were delivered; thinned beyond a burst."""
    rows = _leaving(db, floor, above)
    yield from islice(rows, block.BURST)
    yield from block.thinned(rows, AGES[0].then_every)


def _leaving(db: sqlite3.Connection, floor: int, above: Iterable[int]) -> Iterator[Spooled]:
    alone = (row for seq in sorted(above) for row in table.each(db, "seq = ?", seq))
    for row in chain(table.each(db, "seq <= ? ORDER BY seq", floor), alone):
        if row.intact and not row.boot:
            yield row.spooled()


def store(db: sqlite3.Connection, blocks: Iterable[Block], *, room_bytes: int) -> None:
    """Add blocks, and make old ones thinner or fewer: at most one batch of each age for each block."""
    for new in blocks:
        _insert(db, 0, [new])
        for age, limit in enumerate(AGES):
            size = db.execute("SELECT coalesce(sum(length(body)), 0) FROM past WHERE age = ?", (age,)).fetchone()[0]
            batch = db.execute("SELECT id, until, body FROM past WHERE age = ? ORDER BY id LIMIT ?", (age, BATCH))
            oldest = batch.fetchall()
            over = size > room_bytes * limit.share
            if not oldest or (oldest[-1][1] >= new.since - limit.seconds and not over):
                continue
            if limit.then_every:
                kept = tuple(block.thinned(_rows(body for _, _, body in oldest), limit.then_every))
                _insert(db, age + 1, [block.pack(kept[at : at + block.ROWS]) for at in range(0, len(kept), block.ROWS)])
            db.executemany("DELETE FROM past WHERE id = ?", [(number,) for number, _, _ in oldest])


def give_way(db: sqlite3.Connection) -> None:
    """Free the oldest blocks' room in a file that cannot grow: pending readings come first."""
    db.execute("DELETE FROM past WHERE id IN (SELECT id FROM past ORDER BY id LIMIT ?)", (BATCH,))


def next_block(db: sqlite3.Connection, after: int, since: int, until: int) -> tuple[int, list[Spooled]] | None:
    """The number of the next block after that one with readings of these seconds, and all its readings.

    A block that is thinned meanwhile comes again with a higher number; a damaged one comes empty.
    """
    found = db.execute(
        "SELECT id, body FROM past WHERE id > ? AND until >= ? AND since <= ? ORDER BY id LIMIT 1",
        (after, since, until),
    ).fetchone()
    return (found[0], list(_rows([found[1]]))) if found else None


def extent(db: sqlite3.Connection) -> tuple[int, int | None]:
    """How many readings the ring holds, and the second of the oldest."""
    count, oldest = db.execute("SELECT coalesce(sum(count), 0), min(since) FROM past").fetchone()
    return int(count), oldest


def _insert(db: sqlite3.Connection, age: int, blocks: Iterable[Block]) -> None:
    db.executemany(
        "INSERT INTO past(age, since, until, count, body) VALUES (?, ?, ?, ?, ?)",
        [(age, each.since, each.until, each.count, each.body) for each in blocks],
    )


def _rows(bodies: Iterable[bytes]) -> Iterator[Spooled]:
    """The readings of blocks; what is damaged is left out, for it is the past and not the queue."""
    for body in bodies:
        with suppress(ValueError):
            yield from block.unpack(body)
