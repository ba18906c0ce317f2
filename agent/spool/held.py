"""Held readings, which wait for the clock: stamped once it is trusted, set aside when their boot has ended."""

from collections.abc import Sequence
from functools import reduce
from typing import Final

from agent.ledger import Cause
from agent.reading import Reading, stamped_after
from agent.record import replace
from agent.spool import aside, table
from agent.spool.row import Row
from agent.spool.shelf import Shelf, later

CHUNK: Final = 1_000  # rows touched in one transaction, so that a year of held readings needs no more memory


def release(shelf: Shelf, boot_id: str, offset_seconds: float) -> int:
    """Stamp the readings held since this boot, of the file and of the memory; gives how many there were.

    Raises SpoolError if the disk refuses; the rest is still held.
    """
    released = 0
    latest: dict[str, int] = {}
    boot = shelf.boots.get(boot_id, -1)
    where = "seq > ? AND boot = ? ORDER BY seq LIMIT ?"
    while rows := _rows(shelf, where, shelf.departed.floor, boot, CHUNK):
        stamped = _stamped(rows, offset_seconds, above=shelf.before_held, latest=latest)
        shelf.last_seconds = _latest(shelf.last_seconds, stamped)
        state = replace(shelf.state, last_seconds=shelf.last_seconds)
        with shelf.file.transaction() as db:
            table.restamp(db, stamped)
            table.write_state(db, state)
        shelf.state = state
        shelf.held -= len(rows)
        released += len(rows)
    in_memory = [row for row in shelf.memory.rows if row.boot == boot]
    stamped = _stamped(in_memory, offset_seconds, above=shelf.before_held, latest=latest)
    shelf.last_seconds = _latest(shelf.last_seconds, stamped)
    shelf.memory.replace(stamped)
    shelf.held -= len(in_memory)
    return released + len(in_memory)


def forget_boots(shelf: Shelf, current: str) -> int:
    """Set aside what is held since boots other than `current`; gives how many. Raises SpoolError."""
    forgotten = 0
    now = shelf.boots.get(current, 0)
    where = "seq > ? AND boot != 0 AND boot != ? ORDER BY seq LIMIT ?"
    while rows := _rows(shelf, where, shelf.departed.floor, now, CHUNK):
        reason = "its boot ended before the clock could be trusted"
        aside.move(shelf, rows, status=None, reason=reason, cause=Cause.CLOCK_UNKNOWN)
        forgotten += len(rows)
    return forgotten


def _stamped(rows: Sequence[Row], offset_seconds: float, *, above: int, latest: dict[str, int]) -> list[Row]:
    """The held rows with UTC = boot seconds + offset, and each sensor's second beyond its `latest`.

    A sensor that is not in `latest` begins beyond the second `above`. `latest` moves on.
    """
    done = []
    for row in rows:
        utc = stamped_after(round(row.seconds + offset_seconds), latest.get(row.sensor, above))
        latest[row.sensor] = utc
        done.append(Row.make(row.seq, Reading(row.sensor, row.milli, utc)))
    return done


def _latest(last: int, stamped: Sequence[Row]) -> int:
    return reduce(later, (row.seconds for row in stamped), last)


def _rows(shelf: Shelf, where: str, *values: object) -> list[Row]:
    """Held rows of the file; damaged ones are set aside, lest a new stamp make them look sound."""
    while shelf.held and shelf.file.is_open and (rows := shelf.file.rows(where, *values)):
        damaged = [row for row in rows if not row.intact]
        if not damaged:
            return rows
        aside.move_damaged(shelf, damaged)
    return []
