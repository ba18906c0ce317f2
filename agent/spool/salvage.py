"""What can still be read of a damaged file, lowest number first, a piece at a time: nobody waits for the whole.

The numbers still to be taken stand in the new file and shrink in the commit that stores what was found, so a power
cut repeats nothing and forgets nothing.
"""

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from agent.record import dataclass, replace
from agent.spool.damaged_files import DamagedFiles

log = logging.getLogger(__name__)

PIECE_ROWS: Final = 1_000
PIECE_FAILURES: Final = 200  # failed reads in one piece: 0.1 s on a small board
DEAD: Final = 1_000  # failures in a row, more than a bad block of 4 KiB makes: then not every number is tried any more,
STRIDE: Final = 16  # but one of so many, less than a page holds,
STRIDES: Final = 4_096  # and after so many of them ever fewer: numbers that a bad page far up hides, or that never were


class Range(NamedTuple):
    """The numbers `low` to `high` are still to be taken from damaged file number `file`."""

    low: int
    high: int
    file: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Nothing can be read of the numbers `low` to `high`, which lie between these UTC seconds; 0 if not known."""

    low: int
    high: int
    since: int
    until: int = 0


@dataclass(frozen=True, slots=True)
class Course:
    """How the salvage has gone: failed reads, those since the last row, that row's UTC second, and the beginning of a
    loss whose end is not known yet.
    """

    failures: int = 0
    dead: int = 0
    second: int = 0
    unended: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows as they stand in the file, the ranges that are left after them, and what is lost of those before."""

    rows: Sequence[tuple[int, ...]]
    left: Sequence[Range]
    lost: Sequence[Lost]
    course: Course


def woven(left: Sequence[Range], *, file: int, low: int, high: int) -> list[Range]:
    """The ranges after `file`, with the numbers from `low` to `high`, was damaged too, with `left` not yet salvaged into
    it: in order.
    """
    if not left:
        return [Range(low, high, file)] if high >= low else []
    every = [Range(low, left[0].low - 1, file), *left, Range(left[-1].high + 1, high, file)]
    return [each for each in every if each.low <= each.high]


def read(db: sqlite3.Connection) -> list[Range]:
    """The ranges in the file."""
    return [Range(*row) for row in db.execute("SELECT low, high, file FROM salvage ORDER BY low")]


def write(db: sqlite3.Connection, ranges: Iterable[Range]) -> None:
    """Replace the ranges in the file."""
    db.execute("DELETE FROM salvage")
    db.executemany("INSERT INTO salvage(low, high, file) VALUES (?, ?, ?)", ranges)


class Salvage:
    """How far it has come with the damaged files beside the spool at `path`."""

    def __init__(self, path: Path) -> None:
        self._files = DamagedFiles(path)
        self._course = Course()
        self.lost = 0  # readings, so far
        self._saved = 0

    def piece(self, ranges: Sequence[Range]) -> Piece:
        """The next of what can be read: rows before a page that cannot, then each half of what follows them.

        Raises TryLater if the file cannot be asked now, as when somebody else has it open.
        """
        left, rows, lost, failures = list(ranges), list[tuple[int, ...]](), list[Lost](), 0
        dead, second, unended = self._course.dead, self._course.second, self._course.unended
        while left and len(rows) < PIECE_ROWS and failures < PIECE_FAILURES:
            low, high, file = left.pop(0)
            wanted = min(PIECE_ROWS - len(rows), high - low + 1)
            try:
                found, broken = self._files.rows(file, low, high, wanted)
            except FileNotFoundError:  # somebody has taken it away
                gone = [Range(low, high, file), *(each for each in left if each.file == file)]
                lost += [Lost(each.low, each.high, second) for each in gone]
                left = [each for each in left if each.file != file]
                continue
            rows += [row for row in found if _whole(row)]
            lost += [Lost(row[0], row[0], second) for row in found if not _whole(row)]
            if seconds := [row[2] for row in found if _whole(row) and not row[4]]:
                begun = [] if unended is None else [Lost(1, 0, unended)]
                lost = [each if each.until else replace(each, until=seconds[0]) for each in (*begun, *lost)]
                second, unended = seconds[-1], None
            low = found[-1][0] + 1 if found else low
            if not broken:
                left[:0] = [Range(low, high, file)] if len(found) == wanted and low <= high else []
                continue
            failures += 1
            dead = 0 if found else dead + 1
            if low > high:
                continue
            high = high if dead < DEAD else _joined(high, file, left)
            ahead = self._ahead(low, high, file, dead)
            if (onward := ahead[0].low if ahead else high + 1) > low:
                lost.append(Lost(low, onward - 1, second))
            left[:0] = ahead
            dead = dead if dead < DEAD or len(ahead) == 1 else 0  # another number can be read, or none is left
        if unended is None:  # what is counted now is told once more, without a number, when its end is known
            unended = next((each.since for each in lost if not each.until), None)
        course = Course(self._course.failures + failures, dead, second, unended)
        return Piece(rows, left, _adjacent(lost), course)

    def count(self, piece: Piece, *, saved: int, lost: int) -> None:
        """The piece is stored; tell of the end of it, once."""
        self._course = piece.course
        self._saved += saved
        self.lost += lost
        if not piece.left:
            found = {"READINGS": self._saved, "LOST": self.lost, "UNREADABLE_PLACES": self._course.failures}
            log.warning("salvage finished", extra=found)
            self.close()

    def close(self) -> None:
        """Let go of the damaged files."""
        self._files.close()
        self._course = Course()
        self._saved = self.lost = 0

    def _ahead(self, low: int, high: int, file: int, dead: int) -> list[Range]:
        """What to try next where nothing can be read of `low`; what lies before the first of these is given up."""
        if dead < DEAD:
            if low == high:  # where rows were found before it, alone once more: it may have gone with the step onward
                return [] if dead else [Range(low, high, file)]
            middle = (low + high) // 2
            return [Range(low, middle, file), Range(middle + 1, high, file)]
        onward = low + min(STRIDE << max(0, dead - DEAD - STRIDES), (high - low + 1) // 2 or 1)
        if onward > high:
            return []
        readable = self._files.rows(file, onward, high, 1) != ([], True)
        return [*([Range(low, onward - 1, file)] if readable else []), Range(onward, high, file)]


def _joined(high: int, file: int, left: list[Range]) -> int:
    """The end of what follows up to `high` without a gap, which is taken out of the ranges left."""
    while left and left[0].file == file and left[0].low == high + 1:
        high = left.pop(0).high
    return high


def _adjacent(lost: Iterable[Lost]) -> list[Lost]:
    """The same in as few as tell of them."""
    joined: list[Lost] = []
    for each in lost:
        before = joined[-1] if joined else None
        if before and (before.high + 1, before.since, before.until) == (each.low, each.since, each.until):
            each = replace(before, high=each.high)  # noqa: PLW2901
            joined.pop()
        joined.append(each)
    return joined


def _whole(row: tuple[int, ...]) -> bool:
    return all(type(value) is int for value in row)
