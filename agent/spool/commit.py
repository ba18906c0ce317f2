"""The commit by which the file knows what the memory does: new rows in, what has left out, bounds kept."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from agent.ledger import joined
from agent.record import replace
from agent.spool import bounds, gaps, past, table
from agent.spool.bounds import Limits
from agent.spool.shelf import Shelf, number

PIECE_ROWS: Final = 1_000  # in a commit on a full disk: 60 to 120 pages, of the 500 that its WAL has


def write(
    shelf: Shelf,
    limits: Limits,
    *,
    claim: int,
    utc: float | None,
    ring: bool = True,
    last: bool = False,
    most: int = bounds.ALL,
) -> None:
    """Commit; raises SpoolError and changes nothing.

    Numbers below `claim` are taken from then on, also after a power cut. Without the `ring` of past readings its
    oldest make room instead; the `last` commit takes all of its tail along. At `most` so many rows go in, and as many
    that are beyond the limits go.
    """
    departed = shelf.departed
    rows = shelf.memory.rows[:most]
    for row in rows:
        number(shelf.sensors, row.sensor)
    shelf.memory.tried = rows[-1].seq if rows else 0
    with shelf.file.transaction(rows=len(rows)) as db:
        ring = ring and shelf.file.roomy
        left = past.leaving(db, floor=departed.floor, above=departed.above)
        tail = shelf.tail.after(left, shelf.last_seconds)
        tail = tail.closed() if last else tail
        went = bounds.Dropped()
        keep = partial(bounds.keep, db, went, limits, floor=departed.floor, pending=shelf.pending, utc=utc, most=most)
        if not shelf.file.roomy:  # first, for the rows need these pages
            past.give_way(db)
            table.delete(db, floor=departed.floor, above=departed.above)
            keep()
        table.insert(db, rows, sensor_ids=shelf.sensors, boot_ids=shelf.boots)
        if ring:
            past.store(db, tail.full, room_bytes=past.room(limits.max_readings))
        table.delete(db, floor=departed.floor, above=departed.above)
        shelf.again.delete_left(db)
        keep()
        gaps.write(db, joined([*shelf.gaps, *went.gaps]))
        held = shelf.held
        if went.count and held:  # of what is still to come in further pieces, too
            waiting = sum(row.boot != 0 for row in shelf.memory.rows[len(rows) :])
            held = table.totals(db, floor=departed.floor)[1] + waiting
        state = shelf.state_with(went.count, next_seq=claim)
        table.write_state(db, state)
    shelf.state, shelf.held, shelf.gaps = state, held, []
    shelf.tail = tail.written() if ring else tail
    shelf.again.left.clear()
    shelf.dropped += went.count
    shelf.pending -= went.count
    if went.count:
        departed.hide()  # what `head` gave out may be gone; `ack` looks for itself
    shelf.memory.rows = shelf.memory.rows[len(rows) :]
    shelf.memory.tried = 0
    departed.committed()
    shelf.owing = False


def write_in_pieces(shelf: Shelf, limits: Limits, *, claim: int, utc: float | None) -> None:
    """The same on a full disk, whose WAL cannot grow: what has left first, then the rows, a piece a commit.

    The past gives its room to what is pending, and nothing is thinned, for that rewrites half of the file. Raises
    SpoolError; what is committed by then stays so.
    """
    above = sorted(shelf.departed.above)
    for at in range(0, len(above), PIECE_ROWS):
        _forget(shelf, floor=0, above=above[at : at + PIECE_ROWS])
    while (floor := _end_of_piece(shelf)) is not None:
        _forget(shelf, floor=floor, above=())
    more = True
    while more:
        before = shelf.pending
        write(shelf, replace(limits, thin=False), claim=claim, utc=utc, ring=False, most=PIECE_ROWS)
        more = bool(shelf.memory.rows) or limits.max_readings < shelf.pending < before


def _forget(shelf: Shelf, *, floor: int, above: Sequence[int]) -> None:
    """Delete some of what has left, and keep it for the past."""
    with shelf.file.transaction(rows=0) as db:
        tail = shelf.tail.after(past.leaving(db, floor=floor, above=above), shelf.last_seconds)
        table.delete(db, floor=floor, above=above)
    shelf.tail = tail


def _end_of_piece(shelf: Shelf) -> int | None:
    """Up to which number the next piece goes of what has left; None when there is no more."""
    sql = "SELECT max(seq) FROM (SELECT seq FROM reading WHERE seq <= ? ORDER BY seq LIMIT ?)"
    end: int | None = shelf.file.ask(lambda db: db.execute(sql, (shelf.departed.floor, PIECE_ROWS)).fetchone()[0])
    return end
