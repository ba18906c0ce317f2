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

from agent.record import dataclass, replace

log = logging.getLogger(__name__)

PIECE_ROWS: Final = 1_000
PIECE_FAILURES: Final = 200  # failed reads in one piece: 0.1 s on a small board
DEAD: Final = 1_000  # failures in a row, more than a bad block of 4 KiB makes; then the next good page is looked for
ROWS: Final = (
    "SELECT seq, sensor, seconds, milli, boot, crc FROM reading WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?"
)
AROUND: Final = (0, 64, 256, 1024)  # numbers asked for instead of one: a page has 35 at the most, a block 280


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
class Piece:
    """Rows as they stand in the file, the ranges that are left after them, and what is lost of those before."""

    rows: Sequence[tuple[int, ...]]
    left: Sequence[Range]
    lost: Sequence[Lost]


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
        self._unended: list[Lost] = []
        self._failures = self._dead = self._saved = self._lost = self._second = 0

    def piece(self, ranges: Sequence[Range]) -> Piece:
        """The next of what can be read: rows before a page that cannot, then each half of what follows them."""
        left, rows, lost, failures = list(ranges), list[tuple[int, ...]](), list[Lost](), 0
        while left and len(rows) < PIECE_ROWS and failures < PIECE_FAILURES:
            low, high, file = left.pop(0)
            try:
                found, broken = self._rows(file, low, high, PIECE_ROWS - len(rows))
            except FileNotFoundError:  # somebody has taken it away
                gone = [Range(low, high, file), *(each for each in left if each.file == file)]
                lost += [Lost(each.low, each.high, self._second) for each in gone]
                left = [each for each in left if each.file != file]
                continue
            rows += [row for row in found if _whole(row)]
            lost += [Lost(row[0], row[0], self._second) for row in found if not _whole(row)]
            if seconds := [row[2] for row in found if _whole(row) and not row[4]]:
                lost = [each if each.until else replace(each, until=seconds[0]) for each in self._unended + lost]
                self._unended, self._second = [], seconds[-1]
            low = found[-1][0] + 1 if found else low
            if not broken:
                left[:0] = [Range(low, high, file)] if found and len(rows) >= PIECE_ROWS and low <= high else []
                continue
            failures += 1
            self._failures += 1
            self._dead = 0 if found else self._dead + 1
            if low < high and self._dead < DEAD:
                middle = (low + high) // 2
                left[:0] = [Range(low, middle, file), Range(middle + 1, high, file)]
            elif low <= high:
                onward = high + 1
                if self._dead >= DEAD:
                    high = _joined(high, file, left)
                    onward, self._dead = self._next_readable(file, low, high), 0
                lost.append(Lost(low, onward - 1, self._second))
                left[:0] = [Range(onward, high, file)] if onward <= high else []
        # counted now, and once more without a number when it is known until when
        self._unended += [Lost(1, 0, each.since) for each in lost if not each.until][:1]
        return Piece(rows, left, lost)

    def count(self, rows: int, lost: int, *, done: bool) -> None:
        """Tell of the end of it, once."""
        self._saved += rows
        self._lost += lost
        if done:
            found = {"READINGS": self._saved, "LOST": self._lost, "UNREADABLE_PLACES": self._failures}
            log.warning("salvage finished", extra=found)
            self.close()

    def close(self) -> None:
        """Let go of the damaged files."""
        for db in self._open.values():
            with suppress(sqlite3.Error):
                db.close()
        self._open.clear()
        self._unended.clear()
        self._failures = self._dead = self._saved = self._lost = self._second = 0

    def _next_readable(self, file: int, low: int, high: int) -> int:
        """The first number beyond `low`, of which nothing can be read, from which something can; `high` + 1 if from none.

        By steps that double, and then halves: a page far up in the tree hides thousands of numbers.
        """
        dead, step = low, 1
        while not self._is_readable(file, alive := min(dead + step, high), high):
            if alive == high:
                return high + 1
            dead, step = alive, step * 2
        while alive - dead > 1:
            middle = (dead + alive) // 2
            dead, alive = (dead, middle) if self._is_readable(file, middle, high) else (middle, alive)
        return alive

    def _is_readable(self, file: int, seq: int, high: int) -> bool:
        """Whether anything can be read about there: one bad page by chance says nothing of those around it."""
        return any(self._rows(file, seq + far, high, 1) != ([], True) for far in AROUND if seq + far <= high)

    def _rows(self, file: int, low: int, high: int, limit: int) -> tuple[list[tuple[int, ...]], bool]:
        """The rows up to the first that cannot be read, and whether there is one such. Raises FileNotFoundError."""
        found: list[tuple[int, ...]] = []
        try:  # no further than it must: the row before one that cannot be read is gone when the step onward fails
            found.extend(self._file(file).execute(ROWS, (low, high, min(limit, high - low + 1))))
        except sqlite3.DatabaseError:
            return found, True
        return found, False

    def _file(self, file: int) -> sqlite3.Connection:
        if file not in self._open:
            path = self._path.with_name(f"{self._path.name}.damaged-{file}")
            if not path.exists():
                raise FileNotFoundError(path)
            uri = f"{path.absolute().as_uri()}?psow=0&mode=rw"
            db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0.2, check_same_thread=False)
            self._open[file] = db
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA cache_size=-64")
        return self._open[file]


def _joined(high: int, file: int, left: list[Range]) -> int:
    """The end of what follows up to `high` without a gap, which is taken out of the ranges left."""
    while left and left[0].file == file and left[0].low == high + 1:
        high = left.pop(0).high
    return high


def _whole(row: tuple[int, ...]) -> bool:
    return all(type(value) is int for value in row)
