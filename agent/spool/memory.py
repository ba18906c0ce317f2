"""Readings that are numbered and not yet committed: for a window, or because the disk refuses them; bounded."""

from collections.abc import Iterable, Sequence
from typing import Final

from agent.reading import Reading
from agent.record import dataclass, field
from agent.spool.row import Row

MEMORY_READINGS: Final = 20_000  # kept while the disk refuses them; about 4 MiB


@dataclass(slots=True)
class Memory:
    """`rows` in the order of their numbers; those up to `tried` may be in the file, for all that a failed commit told.

    So may rows that were given new numbers since, under their old ones: `renumbered` leads from old to new.
    """

    rows: list[Row] = field(default_factory=list)
    tried: int = 0
    renumbered: dict[int, int] = field(default_factory=dict)

    def find(self, seq: int) -> list[Row]:
        """The one row of that number, if it is here."""
        return [row for row in self.rows if row.seq == seq]

    def take_out(self, seqs: Iterable[int]) -> set[int]:
        """Remove the rows of these numbers; gives the numbers that no file can hold."""
        if not self.rows:
            return set()
        gone = set(seqs)
        out = {row.seq for row in self.rows if row.seq in gone}
        self.rows = [row for row in self.rows if row.seq not in out]
        return {seq for seq in out if seq > self.tried}

    def renumber(self, count: int, first: int) -> int:
        """Number the last `count` rows anew; gives the number after theirs."""
        rows = self.rows
        self.rows, moved = rows[: len(rows) - count], rows[len(rows) - count :]
        for seq, row in enumerate(moved, start=first):
            if row.seq <= self.tried:
                self.renumbered[row.seq] = seq
            self.rows.append(Row.make(seq, Reading(row.sensor, row.milli, row.seconds), boot=row.boot))
        return first + len(moved)

    def forget_stored(self, there: Iterable[int]) -> list[int]:
        """Forget the rows that the file holds, of those that it might hold; gives the numbers there of rows that have
        left under their new numbers.
        """
        known = set(there)
        new = {self.renumbered.get(seq, seq) for seq in known}
        left = new - {row.seq for row in self.rows}
        self.rows = [row for row in self.rows if row.seq not in new]
        gone = [old for old, seq in self.renumbered.items() if old in known and seq in left]
        self.renumbered, self.tried = {}, 0
        return gone

    def doubtful(self) -> list[int]:
        """The numbers that the file may hold although their commit failed."""
        return [*self.renumbered, *(row.seq for row in self.rows if row.seq <= self.tried)]

    def replace(self, new: Sequence[Row]) -> None:
        """Put each row in the place of the one with its number."""
        by_number = {row.seq: row for row in new}
        self.rows = [by_number.get(row.seq, row) for row in self.rows]

    def overflow(self) -> list[Row]:
        """Remove and give the oldest rows beyond what fits."""
        excess = max(len(self.rows) - MEMORY_READINGS, 0)
        gone, self.rows = self.rows[:excess], self.rows[excess:]
        return gone
