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

log = logging.getLogger(__name__)

PIECE_ROWS: Final = 1_000
PIECE_FAILURES: Final = 200  # failed reads in one piece: 0.1 s on a small board
FAILURES: Final = 20_000  # after which the rest of a file is given up: about 300 pages


class Range(NamedTuple):
    """The numbers `low` to `high` are still to be taken from damaged file number `file`."""

    low: int
    high: int
    file: int


def woven(left: Sequence[Range], *, file: int, high: int) -> list[Range]:
    """The ranges after `file`, up to `high`, was damaged too, with `left` not yet salvaged into it: in order."""
    if not left:
        return [Range(1, high, file)] if high > 0 else []
    every = [Range(1, left[0].low - 1, file), *left, Range(left[-1].high + 1, high, file)]
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
        self._failures = 0
        self._saved = 0

    def piece(self, ranges: Sequence[Range]) -> tuple[list[tuple[int, ...]], list[Range]]:
        """The next rows as they stand in the file, and the ranges that are left after them."""
        left, rows, failures = list(ranges), list[tuple[int, ...]](), 0
        while left and len(rows) < PIECE_ROWS and failures < PIECE_FAILURES:
            low, high, file = left[0]
            wanted = PIECE_ROWS - len(rows)
            try:
                found = self._rows(file, low, high, wanted)
            except FileNotFoundError:
                left = [each for each in left if each.file != file]
                continue
            except sqlite3.DatabaseError:
                failures += 1
                self._failures += 1
                middle = (low + high) // 2
                left[:1] = [Range(low, middle, file), Range(middle + 1, high, file)] if low < high else []
                if self._failures >= FAILURES:
                    left = [each for each in left if each.file != file]
                continue
            rows += [row for row in found if all(type(value) is int for value in row)]
            rest = Range(found[-1][0] + 1, high, file) if len(found) == wanted else None
            left[:1] = [rest] if rest and rest.low <= high else []
        return rows, left

    def count(self, rows: int, *, done: bool) -> None:
        """Tell of the end of it, once."""
        self._saved += rows
        if done:
            log.warning("salvage finished", extra={"READINGS": self._saved, "UNREADABLE_PLACES": self._failures})
            self.close()

    def close(self) -> None:
        """Let go of the damaged files."""
        for db in self._open.values():
            with suppress(sqlite3.Error):
                db.close()
        self._open.clear()
        self._failures = self._saved = 0

    def _rows(self, file: int, low: int, high: int, limit: int) -> list[tuple[int, ...]]:
        if file not in self._open:
            path = self._path.with_name(f"{self._path.name}.damaged-{file}")
            if not path.exists():
                raise FileNotFoundError(path)
            db = self._open[file] = sqlite3.connect(
                f"{path.absolute().as_uri()}?psow=0&mode=rw",
                uri=True,
                isolation_level=None,
                timeout=0.2,
                check_same_thread=False,
            )
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA cache_size=-64")
        sql = (
            "SELECT seq, sensor, seconds, milli, boot, crc FROM reading WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?"
        )
        return self._open[file].execute(sql, (low, high, limit)).fetchall()
