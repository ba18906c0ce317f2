"""The damaged files beside a spool, and the rows that each of them still gives."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.errors import TryLater
from agent.spool import store

ROWS: Final = (
    "SELECT seq, sensor, seconds, milli, boot, crc FROM reading WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?"
)


def place(spool: Path, number: int) -> Path:
    """Where the damaged file of that number is kept."""
    return spool.with_name(f"{spool.name}.damaged-{number}")


class DamagedFiles:
    """Those of the spool at `path`, by their numbers; opened when they are needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: dict[int, sqlite3.Connection] = {}

    def rows(self, file: int, low: int, high: int, limit: int) -> tuple[list[tuple[int, ...]], bool]:
        """The rows up to the first that cannot be read, and whether there is one such.

        A page that is not the one that belongs there gives rows of other numbers: no more is taken from then on.
        Raises FileNotFoundError, and TryLater if the file cannot be asked now, as when somebody else has it open.
        """
        found: list[tuple[int, ...]] = []
        try:  # no further than it must: the row before one that cannot be read is gone when the step onward fails
            for row in self._connection(file).execute(ROWS, (low, high, min(limit, high - low + 1))):
                if not (found[-1][0] if found else low - 1) < row[0] <= high:
                    return found, True
                found.append(row)
        except sqlite3.DatabaseError as error:
            if store.primary_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM}:
                raise TryLater(f"spool: {place(self._path, file)}: {error}") from error
            return found, True
        return found, False

    def close(self) -> None:
        """Let go of them."""
        for db in self._open.values():
            with suppress(sqlite3.Error):
                db.close()
        self._open.clear()

    def _connection(self, file: int) -> sqlite3.Connection:
        if file not in self._open:
            path = place(self._path, file)
            if not path.exists():
                raise FileNotFoundError(path)
            uri = f"{path.absolute().as_uri()}?psow=0&mode=rw"
            db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0.2, check_same_thread=False)
            self._open[file] = db
            db.text_factory = bytes  # what is no number is nobody's
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA cache_size=-64")
        return self._open[file]
