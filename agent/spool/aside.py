"""What was set aside: taken out of the queue with its reason, for a person to look at, retry or drop.

Each change is one commit, on flash when it returns; if the disk refuses, nothing has changed.
"""

import logging
import sqlite3
from collections.abc import Sequence
from typing import Final

from agent.ledger import Cause, joined
from agent.reading import Reading
from agent.record import dataclass
from agent.spool import again, gaps, table
from agent.spool.row import Row
from agent.spool.shelf import Shelf, number

log = logging.getLogger(__name__)

KEPT: Final = 1_000  # for a person to look at; what goes beyond is a counted drop
DAMAGED: Final = "damaged in the spool: its checksum does not match"


@dataclass(frozen=True, slots=True)
class Aside:
    """A reading that was set aside; `seconds` is UTC, None if that is not known. `status` is the shield's answer."""

    seq: int
    sensor: str
    seconds: int | None
    milli: int
    status: int | None
    reason: str

    @property
    def may_go_again(self) -> bool:
        """Whether it is sound and has its time: what was damaged, or waited for the clock in vain, cannot be sent."""
        return self.status is not None and self.seconds is not None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of them are meant: those that pass each condition. One that is empty or None lets all pass."""

    seqs: tuple[int, ...] = ()
    sensor: str | None = None
    status: int | None = None

    def has(self, each: Aside) -> bool:
        """Whether it is meant."""
        return (
            (not self.seqs or each.seq in self.seqs)
            and self.sensor in {None, each.sensor}
            and self.status in {None, each.status}
        )


def move(shelf: Shelf, rows: Sequence[Row], *, status: int | None, reason: str, cause: Cause) -> None:
    """Take pending rows out with their reason; raises SpoolError and changes nothing."""
    if not rows:
        return
    missing = joined([*shelf.gaps, *gaps.of_rows(rows, cause, otherwise=shelf.before_held)])
    with shelf.file.transaction() as db:
        surplus = table.set_aside(db, rows, status=status, reason=reason, keep=KEPT)
        gaps.write(db, missing)
        state = shelf.state_with(surplus, next_seq=max(shelf.next_seq, shelf.state.next_seq))
        table.write_state(db, state)
    shelf.state, shelf.gaps = state, []
    shelf.dropped += surplus
    shelf.set_aside += len(rows) - surplus
    shelf.held -= sum(row.boot != 0 for row in rows)
    shelf.leave([row.seq for row in rows])


def move_damaged(shelf: Shelf, rows: Sequence[Row]) -> None:
    """Take rows out that do not say what was written; raises SpoolError."""
    log.error("damaged readings set aside", extra={"READINGS": len(rows)})
    move(shelf, rows, status=None, reason=DAMAGED, cause=Cause.DAMAGED)


def move_again(shelf: Shelf, seq: int, *, status: int | None, reason: str) -> None:
    """Take a reading out that was to go once more; no gap, for one was told when it went the first time."""
    rows = shelf.file.ask(lambda db: shelf.again.find(db, seq))
    with shelf.file.transaction() as db:
        surplus = table.set_aside(db, rows, status=status, reason=reason, keep=KEPT)
        db.execute("DELETE FROM again WHERE seq = ?", (seq,))
        state = shelf.state_with(surplus, next_seq=max(shelf.next_seq, shelf.state.next_seq))
        table.write_state(db, state)
    shelf.state = state
    shelf.dropped += surplus
    shelf.set_aside += len(rows) - surplus
    shelf.again.count -= len(rows)


def listed(shelf: Shelf, chosen: Chosen) -> list[Aside]:
    """Those that are meant, oldest first; at most a thousand. Raises SpoolError."""
    sql = "SELECT seq, sensor, CASE boot WHEN 0 THEN seconds END, milli, status, reason FROM set_aside ORDER BY seq"
    return [each for row in shelf.file.ask(lambda db: db.execute(sql).fetchall()) if chosen.has(each := Aside(*row))]


def retry(shelf: Shelf, chosen: Chosen) -> tuple[int, int]:
    """Put them back to be sent, under their own numbers; gives how many, and how many of those meant cannot be sent.

    They are known as the past at once, for they leave this list. Raises SpoolError.
    """
    meant = listed(shelf, chosen)
    rows = [
        Row.make(each.seq, Reading(each.sensor, each.milli, each.seconds))
        for each in meant
        if each.may_go_again and each.seconds is not None
    ]
    for row in rows:
        number(shelf.sensors, row.sensor)
    with shelf.file.transaction() as db:
        added = again.add(db, rows, sensor_ids=shelf.sensors)
        _delete(db, [row.seq for row in rows])
    shelf.again.count += added
    shelf.set_aside -= len(rows)
    shelf.tail = shelf.tail.after([row.spooled() for row in rows], shelf.last_seconds)
    return len(rows), len(meant) - len(rows)


def drop(shelf: Shelf, chosen: Chosen) -> int:
    """Forget them; gives how many, which are counted as dropped. Raises SpoolError."""
    seqs = [each.seq for each in listed(shelf, chosen)]
    with shelf.file.transaction() as db:
        _delete(db, seqs)
        state = shelf.state_with(len(seqs), next_seq=max(shelf.next_seq, shelf.state.next_seq))
        table.write_state(db, state)
    shelf.state = state
    shelf.dropped += len(seqs)
    shelf.set_aside -= len(seqs)
    return len(seqs)


def _delete(db: sqlite3.Connection, seqs: Sequence[int]) -> None:
    db.executemany("DELETE FROM set_aside WHERE seq = ?", [(seq,) for seq in seqs])
