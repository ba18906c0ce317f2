"""What has left the spool while its file may still hold it: everything up to a floor, and a few numbers above it."""

from collections import deque
from collections.abc import Iterable
from pathlib import Path

from agent.spool.row import Row
from agent.spool.watermark import Watermark


class Departed:
    """`floor` moves up over the readings that `head` gave out last, never past one that is still here."""

    def __init__(self, watermark: Path | None) -> None:
        self._path = watermark
        self._mark = Watermark(None, 0)
        self._window: deque[int] = deque()
        self.floor = 0
        self.above: set[int] = set()

    def belongs_to(self, spool_id: int, *, anew: bool) -> None:
        """Take up what an earlier process left for the spool of that id; `anew`: its numbers are of another file."""
        self._mark.close()
        if anew:
            self.floor, self.above = 0, set()
        self._mark = Watermark(self._path, spool_id)
        self.floor = max(self.floor, self._mark.seq)
        self._mark.write(self.floor)

    def has(self, seq: int) -> bool:
        """Whether that reading has left."""
        return seq <= self.floor or seq in self.above

    def show(self, seqs: Iterable[int], *, below: int = 0) -> None:
        """These are the oldest readings in the spool, oldest first and without a gap but for those that have left; there
        are no others `below` that number.
        """
        oldest = list(seqs)
        # what left between them, as a batch around a refused one, lets the floor pass once they leave as well
        between = [seq for seq in self.above if seq < below or (oldest and seq < oldest[-1])]
        self._window = deque(sorted({*oldest, *between}) if between else oldest)

    def hide(self) -> None:
        """Nothing is known of what is oldest: the floor stays until the next `show`."""
        self._window.clear()

    def shows(self, seq: int) -> bool:
        """Whether that reading is among the oldest and is still here."""
        return seq in self._window and seq not in self.above

    def leave(self, seqs: Iterable[int]) -> None:
        """Count these out."""
        self.above |= set(seqs)
        while self._window and self._window[0] in self.above:
            self.floor = self._window.popleft()
            self.above.discard(self.floor)
        self._mark.write(self.floor)

    def committed(self) -> None:
        """The file holds nothing of these any more."""
        self.above.intersection_update(self._window)

    def found(self, there: Iterable[int]) -> None:
        """Of the numbers above the floor, the file holds these; the others are of no interest."""
        self.above.intersection_update({*there, *self._window})

    def close(self) -> None:
        """Let go of the watermark."""
        self._mark.close()


def seqs(rows: Iterable[Row]) -> list[int]:
    """Their numbers."""
    return [row.seq for row in rows]
