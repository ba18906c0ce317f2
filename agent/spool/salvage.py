"""What can still be read of a damaged file, lowest number first, a piece at a time: nobody waits for the whole.

The numbers still to be taken stand in the new file and shrink in the commit that stores what was found, so a power
cut repeats nothing and forgets nothing.
"""

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from agent.errors import TryLater
from agent.record import dataclass, replace
from agent.spool import store

log = logging.getLogger(__name__)

PIECE_ROWS: Final = 1_000
PIECE_FAILURES: Final = 200  # failed reads in one piece: 0.1 s on a small board
DEAD: Final = 1_000  # failures in a row, more than a bad block of 4 KiB makes: then not every number is tried any more,
STRIDE: Final = 16  # but one of so many, less than a page holds,
STRIDES: Final = 4_096  # and after so many of them ever fewer: numbers that a bad page far up hides, or that never were
ROWS: Final = (
    "SELECT seq, sensor, seconds, milli, boot, crc FROM reading WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?"
)


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
    """The damaged files beside the spool at `path`, opened when they are needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: dict[int, sqlite3.Connection] = {}
        self._course = Course()
        self._saved = self._lost = 0

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
                found, broken = self._rows(file, low, high, wanted)
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
            if dead >= DEAD:
                high = _joined(high, file, left)
                step = min(STRIDE << max(0, dead - DEAD - STRIDES), (high - low + 1) // 2 or 1)
                onward = low + step
                if onward <= high and self._rows(file, onward, high, 1) != ([], True):
                    dead, left[:0] = 0, [Range(low, onward - 1, file), Range(onward, high, file)]
                    continue
                lost.append(Lost(low, onward - 1, second))
                left[:0] = [Range(onward, high, file)] if onward <= high else []
                dead = dead if onward <= high else 0
            elif low < high:
                middle = (low + high) // 2
                left[:0] = [Range(low, middle, file), Range(middle + 1, high, file)]
            elif low == high:
                lost.append(Lost(low, low, second))
        if unended is None:  # what is counted now is told once more, without a number, when its end is known
            unended = next((each.since for each in lost if not each.until), None)
        course = Course(self._course.failures + failures, dead, second, unended)
        return Piece(rows, left, _adjacent(lost), course)

    def count(self, piece: Piece, *, saved: int, lost: int) -> None:
        """The piece is stored; tell of the end of it, once."""
        self._course = piece.course
        self._saved += saved
        self._lost += lost
        if not piece.left:
            found = {"READINGS": self._saved, "LOST": self._lost, "UNREADABLE_PLACES": self._course.failures}
            log.warning("salvage finished", extra=found)
            self.close()

    def close(self) -> None:
        """Let go of the damaged files."""
        for db in self._open.values():
            with suppress(sqlite3.Error):
                db.close()
        self._open.clear()
        self._course = Course()
        self._saved = self._lost = 0

    def _rows(self, file: int, low: int, high: int, limit: int) -> tuple[list[tuple[int, ...]], bool]:
        """The rows up to the first that cannot be read, and whether there is one such.

        A page that is not the one that belongs there gives rows of other numbers: no more is taken from then on.
        Raises FileNotFoundError, TryLater.
        """
        found: list[tuple[int, ...]] = []
        try:  # no further than it must: the row before one that cannot be read is gone when the step onward fails
            for row in self._file(file).execute(ROWS, (low, high, limit)):
                if not (found[-1][0] if found else low - 1) < row[0] <= high:
                    return found, True
                found.append(row)
        except sqlite3.DatabaseError as error:
            if store.is_damage(error) or store.primary_code(error) == sqlite3.SQLITE_IOERR:
                return found, True
            raise TryLater(f"spool: {self._place(file)}: {error}") from error
        return found, False

    def _file(self, file: int) -> sqlite3.Connection:
        if file not in self._open:
            path = self._place(file)
            if not path.exists():
                raise FileNotFoundError(path)
            uri = f"{path.absolute().as_uri()}?psow=0&mode=rw"
            db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0.2, check_same_thread=False)
            self._open[file] = db
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA cache_size=-64")
        return self._open[file]

    def _place(self, file: int) -> Path:
        return self._path.with_name(f"{self._path.name}.damaged-{file}")


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
