"""Every reading that is still known: pending, set aside, or past. Given out in pieces, so that nobody waits for the whole.

The queue is held for one piece at a time, and a piece is small, whatever the spool holds.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

from agent.errors import SpoolError
from agent.record import dataclass, replace
from agent.spool import again, aside, block, past, table
from agent.spool.aside import Aside, Chosen
from agent.spool.queue import Spool
from agent.spool.row import Row, Spooled
from agent.spool.shelf import Shelf, number

PIECE_ROWS: Final = 1_000  # given out at once, and what the queue is held for


class Where(StrEnum):
    """What has become of a reading."""

    PENDING = "pending"
    HELD = "held"  # waits for the clock; its seconds count from the start of its boot
    AGAIN = "again"  # goes once more
    SET_ASIDE = "set aside"
    PAST = "past"


@dataclass(frozen=True, slots=True)
class Known:
    """`seconds` is UTC, None while it is not known; `status` and `reason` are of one that was set aside."""

    where: Where
    seq: int
    sensor: str
    seconds: int | None
    milli: int
    status: int | None = None
    reason: str = ""


def known(spool: Spool, since: int, until: int) -> Iterator[list[Known]]:
    """Readings stamped between these UTC seconds, both included, in pieces and in no order; a number may come twice.

    Raises SpoolError if the file cannot be read.
    """
    # the past comes last: what a tick moves there meanwhile is seen twice and not never
    for piece in _stored(spool):
        yield [each for each in piece if each.seconds is not None and since <= each.seconds <= until]
    for rows in passed(spool, since, until):
        yield [_past(row) for row in rows]


def unsent(spool: Spool) -> Iterator[list[Known]]:
    """What has not been delivered, in pieces: pending, set aside, to go once more. Raises SpoolError."""
    for piece in _stored(spool):
        yield [each for each in piece if each.where is not Where.PAST]


def passed(spool: Spool, since: int, until: int) -> Iterator[list[Spooled]]:
    """Readings of the past stamped between these UTC seconds, a block at a time. Raises SpoolError."""
    last = 0
    while True:
        with spool.shelf() as shelf:
            after = last
            found = (
                shelf.file.ask(lambda db: past.next_block(db, after, since, until))  # noqa: B023 - called at once
                if shelf.file.is_open
                else None
            )
            tail = shelf.tail
        if found is None:
            break
        last, rows = found
        yield _between(rows, since, until)
    for full in tail.full:
        yield _between(block.unpack(full.body), since, until)
    yield _between(tail.rows, since, until)


def replay(spool: Spool, since: int, until: int, *, most: int) -> int:
    """Send what has passed between these UTC seconds once more; gives how many readings that is.

    Raises SpoolError, also if more than `most` would then wait: some of them may be queued by then, and the same
    call again adds the rest.
    """
    added = 0
    spool.commit_departed()
    for rows in passed(spool, since, until):
        for at in range(0, len(rows), PIECE_ROWS):
            with spool.shelf() as shelf:
                added += _queue(shelf, rows[at : at + PIECE_ROWS], most)
    return added


def _queue(shelf: Shelf, rows: Sequence[Spooled], most: int) -> int:
    waiting = shelf.pending + shelf.again.count
    if waiting + len(rows) > most:
        raise SpoolError(
            f"spool: {waiting} readings wait already, and {most} is the limit (spool.max_readings)",
            hint="choose a shorter stretch, or wait: sensor-agent spool show",
        )
    for row in rows:
        number(shelf.sensors, row.reading.sensor)
    new = [Row.make(row.seq, row.reading) for row in rows]
    with shelf.file.transaction() as db:
        shelf.again.delete_left(db)  # or one that has just gone could not go once more
        added = again.add(db, new, sensor_ids=shelf.sensors)
    shelf.again.left.clear()
    shelf.again.count += added
    return added


def _stored(spool: Spool) -> Iterator[list[Known]]:
    """What lies in the queue, what was set aside, and what goes once more."""
    last, more = 0, True
    while more:
        with spool.shelf() as shelf:
            rows = shelf.file.rows("seq > ? ORDER BY seq LIMIT ?", last, PIECE_ROWS) if shelf.file.is_open else []
            here = [_queued(row, gone=shelf.departed.has(row.seq)) for row in rows or shelf.memory.rows]
            kept = [] if rows or not shelf.file.is_open else aside.listed(shelf, Chosen())
        yield here
        more, last = bool(rows), rows[-1].seq if rows else last
        yield [_set_aside(each) for each in kept]
    last = 0
    while rows := _again(spool, last):
        yield [replace(_queued(row, gone=False), where=Where.AGAIN) for row in rows]
        last = rows[-1].seq


def _again(spool: Spool, last: int) -> list[Row]:
    with spool.shelf() as shelf:
        if not shelf.again.count:
            return []
        where = "seq > ? ORDER BY seq LIMIT ?"
        return shelf.file.ask(lambda db: list(table.each(db, where, last, PIECE_ROWS, source="again")))


def _between(rows: Sequence[Spooled], since: int, until: int) -> list[Spooled]:
    return [row for row in rows if since <= row.reading.unix_seconds <= until]


def _queued(row: Row, *, gone: bool) -> Known:
    """`gone`: it was delivered, and the next tick's commit moves it to the past."""
    if row.boot:
        return Known(Where.HELD, row.seq, row.sensor, None, row.milli)
    return Known(Where.PAST if gone else Where.PENDING, row.seq, row.sensor, row.seconds, row.milli)


def _set_aside(each: Aside) -> Known:
    return Known(Where.SET_ASIDE, each.seq, each.sensor, each.seconds, each.milli, each.status, each.reason)


def _past(row: Spooled) -> Known:
    reading = row.reading
    return Known(Where.PAST, row.seq, reading.sensor, reading.unix_seconds, reading.milli_celsius)
