"""Readings that are numbered and not yet committed: for a window, or because the disk refuses them; bounded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from agent.spool.row import Row

MEMORY_READINGS: Final = 20_000  # kept while the disk refuses them; about 4 MiB


@dataclass(slots=True)
class Memory:
    """`rows` in the order of their numbers; those up to `tried` may be in the file, for all that a failed commit told."""

    rows: list[Row] = field(default_factory=list)
    tried: int = 0

    def find(self, seq: int) -> list[Row]:
        """The one row of that number, if it is here."""
        return [row for row in self.rows if row.seq == seq]

    def take_out(self, seqs: Iterable[int]) -> set[int]:
        """Remove the rows of these numbers; gives the numbers that no file can hold."""
        gone = set(seqs)
        out = {row.seq for row in self.rows if row.seq in gone}
        self.rows = [row for row in self.rows if row.seq not in out]
        return {seq for seq in out if seq > self.tried}

    def replace(self, new: Sequence[Row]) -> None:
        """Put each row in the place of the one with its number."""
        by_number = {row.seq: row for row in new}
        self.rows = [by_number.get(row.seq, row) for row in self.rows]

    def overflow(self) -> list[Row]:
        """Remove and give the oldest rows beyond what fits."""
        excess = max(len(self.rows) - MEMORY_READINGS, 0)
        gone, self.rows = self.rows[:excess], self.rows[excess:]
        return gone
