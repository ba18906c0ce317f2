"""What stands at the front of the queue, and how much behind it."""

from itertools import takewhile

from agent.record import dataclass
from agent.spool import aside
from agent.spool.blank import BYTES_PER_READING
from agent.spool.row import Spooled
from agent.spool.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Counts:
    """`oldest` is the UTC second of the oldest pending reading; of the pending ones `held` wait for the clock, and
    `again` are sent once more.

    `trouble` says why the disk refuses; empty when all is well. Up to `salvage_left` more are yet to be read from a
    damaged file, and are not in `pending`. `commits` were
    made since the start; at the latest one there was room on the disk for `fits` more readings, None before the first.
    Up to `damaged` readings were lost in damaged files since the start.
    """

    pending: int
    held: int
    set_aside: int
    dropped: int
    oldest: int | None
    trouble: str
    again: int = 0
    commits: int = 0
    salvage_left: int = 0
    damaged: int = 0
    fits: int | None = None


def counts(shelf: Shelf, *, trouble: str) -> Counts:
    """How much there is."""
    oldest = next(iter(shelf.oldest(1, "AND boot = 0" if shelf.held else "")[0]), None)
    return Counts(
        pending=shelf.pending + shelf.again.count,
        held=shelf.held,
        set_aside=shelf.set_aside,
        dropped=shelf.dropped,
        oldest=oldest.seconds if oldest else None,
        trouble=trouble,
        again=shelf.again.count,
        commits=shelf.file.commits,
        salvage_left=sum(each.high - each.low + 1 for each in shelf.ranges),
        damaged=shelf.damaged,
        fits=None if shelf.file.spare is None else shelf.file.spare // BYTES_PER_READING,
    )


def sendable(shelf: Shelf, limit: int) -> list[Spooled]:
    """The oldest readings that may be sent, at most `limit`, up to the first that waits for the clock.

    Damaged ones are set aside on the way; raises SpoolError if the disk refuses that.
    """
    rows, known = shelf.oldest(limit)
    while damaged := [row for row in rows if not row.intact]:
        aside.move_damaged(shelf, damaged)
        rows, known = shelf.oldest(limit)
    found = [row.spooled() for row in takewhile(lambda row: not row.boot, rows)]
    if known:
        end = 0 if shelf.ranges or len(rows) == limit else 1 << 62
        shelf.departed.show((spooled.seq for spooled in found), below=next((row.seq for row in rows if row.boot), end))
    else:
        shelf.departed.hide()
    return found


def once_more(shelf: Shelf, limit: int) -> list[Spooled]:
    """A few readings that go once more, at most `limit`; raises SpoolError if the disk refuses."""
    while shelf.again.count and shelf.file.is_open:
        rows = shelf.file.ask(lambda db: shelf.again.oldest(db, limit))
        damaged = [row.seq for row in rows if not row.intact]
        if not damaged:
            return [row.spooled() for row in rows]
        for seq in damaged:
            aside.move_again(shelf, seq, status=None, reason=aside.DAMAGED)
    return []


def is_once_more(shelf: Shelf, seq: int) -> bool:
    """Whether that reading is one of those."""
    if not shelf.again.count or not shelf.file.is_open:
        return False
    return bool(shelf.file.ask(lambda db: shelf.again.find(db, seq)))
