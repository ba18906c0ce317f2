"""What stands at the front of the queue, and how much behind it."""

from dataclasses import dataclass

from agent.spool.row import Spooled
from agent.spool.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Counts:
    """`oldest` is the UTC second of the oldest pending reading, `held` of the pending ones wait for the clock.

    `trouble` says why the disk refuses; empty when all is well.
    """

    pending: int
    held: int
    set_aside: int
    dropped: int
    oldest: int | None
    trouble: str


def counts(shelf: Shelf, *, trouble: str) -> Counts:
    """How much there is."""
    oldest = next(iter(shelf.oldest(1, "AND boot = 0" if shelf.held else "")[0]), None)
    return Counts(
        pending=shelf.pending,
        held=shelf.held,
        set_aside=shelf.set_aside,
        dropped=shelf.dropped,
        oldest=oldest.seconds if oldest else None,
        trouble=trouble,
    )


def sendable(shelf: Shelf, limit: int) -> list[Spooled]:
    """The oldest readings that may be sent, at most `limit`, up to the first that waits for the clock.

    Damaged ones are set aside on the way; raises SpoolError if the disk refuses that.
    """
    rows, known = shelf.oldest(limit)
    while damaged := [row for row in rows if not row.intact]:
        shelf.set_damaged_aside(damaged)
        rows, known = shelf.oldest(limit)
    found: list[Spooled] = []
    for row in rows:
        if row.boot:
            break
        found.append(row.spooled())
    shelf.departed.show(spooled.seq for spooled in found if known)
    return found
