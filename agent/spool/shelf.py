"""Where the readings lie, file and memory as one: what is there, and what has left.

Not locked: the queue does that.
"""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import SpoolError
from agent.ledger import Cause, Gap, joined
from agent.reading import AHEAD_SECONDS, Reading
from agent.record import replace
from agent.spool import gaps, salvage, table
from agent.spool.again import Again
from agent.spool.block import Tail
from agent.spool.connection import Connection
from agent.spool.damage import ADRIFT
from agent.spool.departed import Departed
from agent.spool.memory import Memory
from agent.spool.row import Row
from agent.spool.table import State

if TYPE_CHECKING:
    from agent.spool.salvage import Lost, Range


class Shelf:
    """The counts are exact while the file is open, and the best that is known while it is not."""

    def __init__(self, path: Path, watermark: Path | None) -> None:
        self.file = Connection(path)
        self.memory = Memory()
        self.departed = Departed(watermark)
        self.again = Again()
        self.tail = Tail()
        self.state = State(0)  # as in the file
        self.sensors: dict[str, int] = {}
        self.boots: dict[str, int] = {}
        self.gaps: list[Gap] = []  # not yet committed
        self.ranges: list[Range] = []  # not yet salvaged
        self.boot_id = ""
        self.next_seq = 1
        self.pending = self.held = self.set_aside = self.dropped = self.last_seconds = self.before_held = 0
        self.damaged = 0  # lost in damaged files since the start
        self._most = 0  # readings that a file holds
        self.began: tuple[int, int] | None = None  # first number and latest second when the file was first opened
        self.owing = False  # the file still holds readings that have left

    def open(self, *, max_readings: int) -> None:
        """Open the file and count what is there; raises ForeignSpool, TryLater, SpoolError."""
        db = self.file.open(max_readings=max_readings)
        self._most = max_readings
        state = table.state(db)
        self.ranges = salvage.read(db)
        if state.spool_id != self.state.spool_id:
            self.departed.belongs_to(state.spool_id, anew=not self.ranges)
        self.dropped += state.dropped - self.state.dropped
        self.last_seconds = self.before_held = max(self.last_seconds, state.last_seconds)
        first = max(state.next_seq, self.departed.floor + 1)
        if self.began is None:
            self.began = first, state.last_seconds
            if first > state.next_seq:  # what left from the memory alone may have had others beyond it, sent as well
                first += ADRIFT + secrets.randbelow(ADRIFT)
                if any(self.departed.has(row.seq) for row in self.memory.rows):  # numbered before that was known
                    first = self.memory.renumber(len(self.memory.rows), first)
        self.next_seq = max(self.next_seq, first)
        self.state = state
        self.departed.hide()
        known, self.boots, self.sensors = self.boots, table.boots(db), table.sensors(db)
        self._renumber_boots(known)
        # a commit that seemed to fail may be in the file all the same
        gone = self.memory.forget_stored([seq for seq in self.memory.doubtful() if self.file.rows("seq = ?", seq)])
        self.departed.leave(gone)
        left = self.file.rows("seq <= ? LIMIT 1", self.departed.floor)  # the process before was killed
        self.owing = self.owing or bool(gone or left)
        self.departed.found([seq for seq in self.departed.above if self.file.rows("seq = ?", seq)])
        self.recount()

    def recount(self) -> None:
        """Count again."""
        rows = self.memory.rows
        pending, held, self.set_aside = table.totals(self.file.db, floor=self.departed.floor)
        self.pending = pending + len(rows) - len(self.departed.above)
        self.held = held + sum(row.boot != 0 for row in rows)
        self.again.recount(self.file.db)

    def oldest(self, limit: int, condition: str = "") -> tuple[list[Row], bool]:
        """The oldest rows that have not left, of the file and then of the memory, and whether they are the oldest.

        A disk that cannot be read must not keep the memory from being delivered; then that is not known.
        """
        salvaging = self.ranges and self.file.is_open
        below = self.ranges[0].low if salvaging else 1 << 62  # what is still to be salvaged comes first
        try:
            where = f"seq > ? AND seq < ? {condition} ORDER BY seq LIMIT ?"
            stored, known = self.file.rows(where, self.departed.floor, below, limit + len(self.departed.above)), True
        except SpoolError:
            stored, known = [], False
        fresh = [] if salvaging and known else [row for row in self.memory.rows if not (condition and row.boot)]
        rows = (row for row in (*stored, *fresh) if not self.departed.has(row.seq))
        return list(islice(rows, limit)), known

    def find(self, seq: int) -> list[Row]:
        """The one row of that number, if it is still pending; raises SpoolError."""
        if self.departed.has(seq):
            return []
        return self.memory.find(seq) or self.file.rows("seq = ?", seq)

    def add(self, readings: Sequence[Reading], boot_id: str) -> None:
        """Number them and keep them in memory."""
        boot = number(self.boots, boot_id) if boot_id else 0
        if boot and not self.held:
            self.before_held = self.last_seconds
        for reading in readings:
            self.memory.rows.append(Row.make(self.next_seq, reading, boot=boot))
            self.next_seq += 1
            if not boot:
                self.last_seconds = later(self.last_seconds, reading.unix_seconds)
        self.pending += len(readings)
        self.held += len(readings) if boot else 0

    def deliver(self, seq: int) -> None:
        """Count out a reading that the shield has; it stays known."""
        self.tail = self.tail.after([row.spooled() for row in self.memory.find(seq)], self.last_seconds)
        self.leave([seq])

    def leave(self, seqs: Sequence[int]) -> None:
        """Count readings out."""
        before = len(self.memory.rows)
        nowhere = self.memory.take_out(seqs)
        self.owing = self.owing or before - len(self.memory.rows) < len(seqs)
        self.pending -= len(seqs)
        self.departed.leave(seq for seq in seqs if seq not in nowhere or self.departed.shows(seq))

    def salvage(self, source: salvage.Salvage) -> None:
        """Bring in the next piece of a damaged file; raises SpoolError and changes nothing."""
        piece = source.piece(self.ranges)
        ranges = list(piece.left)
        rows = [row for row in piece.rows if not self.departed.has(row[0])]
        latest = max((row[2] for row in rows if not row[4]), default=0)
        lost = self._counted(piece.lost, room=max(self._most - source.lost, 0))
        missing = [gap for count, each in lost for gap in self._missing(count, each)]
        with self.file.transaction() as db:
            added = table.restore(db, rows)
            salvage.write(db, ranges)
            gaps.write(db, joined(missing))
            state = replace(self.state, last_seconds=max(latest, self.state.last_seconds))
            table.write_state(db, state)
        self.state, self.ranges = state, ranges
        self.last_seconds = max(latest, self.last_seconds)
        self.pending += added
        self.held += sum(row[4] != 0 for row in rows)
        gone = sum(count for count, _ in lost)
        self.damaged += gone
        source.count(piece, saved=added, lost=gone)

    def _counted(self, lost: "Sequence[Lost]", *, room: int) -> list[tuple[int, "Lost"]]:
        """How many of those numbers at the most were readings that had not left; `room` in all, as a file holds no more."""
        found = list[tuple[int, "Lost"]]()
        for each in lost:
            low = max(each.low, self.departed.floor + 1)
            left = sum(low <= seq <= each.high for seq in self.departed.above)
            found.append((min(max(each.high - low + 1 - left, 0), room), each))
            room -= found[-1][0]
        return found

    def _missing(self, count: int, lost: "Lost") -> list[Gap]:
        if not count and lost.low <= lost.high:
            return []
        since, until = lost.since or lost.until, lost.until or lost.since
        around = {"since": since or self.last_seconds, "until": until or self.last_seconds}
        return gaps.of_lost(count, list(self.sensors), **around)

    def overflow(self) -> None:
        """Drop the oldest rows that the disk refuses and memory cannot keep; they reach the file as a count."""
        if gone := self.memory.overflow():
            missing = gaps.of_rows(gone, Cause.SPOOL_FULL, otherwise=self.before_held)
            self.gaps = joined([*self.gaps, *missing])
            self.held -= sum(row.boot != 0 for row in gone)
            self.dropped += len(gone)
            self.pending -= len(gone)
            self.departed.hide()

    def state_with(self, dropped: int, *, next_seq: int) -> State:
        """What the file is to say of itself, with so many more dropped."""
        boot_id = self.boot_id or self.state.boot_id
        return State(self.state.spool_id, next_seq, self.last_seconds, self.dropped + dropped, boot_id)

    def known_gaps(self) -> list[Gap]:
        """Every gap that is still remembered, with those that are not yet committed."""
        known: list[Gap] = []
        with suppress(SpoolError):
            known = gaps.read(self.file.db)
        return joined([*known, *self.gaps])

    def _renumber_boots(self, before: dict[str, int]) -> None:
        """Rows in memory were numbered while the file's own numbers were not known."""
        new = {old: number(self.boots, boot_id) for boot_id, old in before.items()}
        rows = self.memory.rows
        self.memory.rows = [
            row
            if new.get(row.boot, row.boot) == row.boot
            else Row.make(row.seq, Reading(row.sensor, row.milli, row.seconds), boot=new[row.boot])
            for row in rows
        ]


def later(last: int, second: int) -> int:
    """The latest second after one more; back to that one if the other was of a clock far ahead."""
    return second if last - second > AHEAD_SECONDS else max(second, last)


def number(names: dict[str, int], name: str) -> int:
    """The name's number in the file, a new one if need be."""
    return names.setdefault(name, max(names.values(), default=0) + 1)
