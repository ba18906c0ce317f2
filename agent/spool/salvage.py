"""A damaged spool is no reason to stop: a new one takes over with every row that can still be read.

The damaged file stays beside it as `….damaged`, for a person; an older one of that name goes.
"""

import logging
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from agent.spool import store, table
from agent.spool.table import State

log = logging.getLogger(__name__)

CHUNK: Final = 1_000
FAILURES: Final = 20_000  # reads that may fail before the rest is given up: about 300 pages, or 10 s on a small board
GAP: Final = 1 << 20  # numbers skipped when the file no longer says which were used
_DAMAGE: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT}
_ROW: Final = "seq, sensor, seconds, milli, boot, crc"


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the error says that the file is damaged, not that the disk is full, read-only or busy."""
    return store.primary_code(error) in _DAMAGE or type(error) is sqlite3.DatabaseError


def check(db: sqlite3.Connection, *, thorough: bool) -> None:
    """Raises sqlite3.DatabaseError if the file is damaged where everything hangs on it, or (0.1 s for a million
    readings) wherever SQLite can see it.
    """
    table.state(db)
    table.sensors(db)
    table.boots(db)
    table.totals(db, floor=0)
    if thorough and (found := db.execute("PRAGMA quick_check(1)").fetchone()) != ("ok",):
        raise sqlite3.DatabaseError(str(found))


def rebuild(path: Path, *, max_readings: int) -> None:
    """Put a new spool in the place of the damaged one, with what can be read of it.

    Raises SpoolError if that cannot be written, TryLater if another process has the file; then nothing has changed.
    """
    damaged = path.with_name(path.name + ".damaged")
    try:
        fresh = store.make(path, size=store.preallocated(max_readings))
        saved = _copy(path, fresh)
        store.sync(fresh)
        damaged.unlink(missing_ok=True)
        damaged.hardlink_to(path)
        wal = Path(f"{path}-wal")
        if wal.exists():  # else the new file would be given the old one's pages
            wal.rename(f"{damaged}-wal")
        fresh.rename(path)
        store.sync(path.parent)
    except (OSError, sqlite3.OperationalError) as error:
        path.with_name(path.name + ".new").unlink(missing_ok=True)
        raise store.refusal(path, error) from error
    log.error("spool damaged and rebuilt", extra={"FILE": str(damaged), "READINGS": saved})


def _copy(path: Path, fresh: Path) -> int:
    """Copy what can be read; gives the number of readings."""
    saved = highest = latest = 0
    uri = f"{path.absolute().as_uri()}?psow=0"
    with (
        closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0.2)) as old,
        closing(sqlite3.connect(fresh, isolation_level=None)) as new,
    ):
        new.execute("PRAGMA synchronous=OFF")  # the whole file is synced before it gets its name
        new.execute("BEGIN")
        for name, width in (("sensor", 2), ("boot", 2), ("set_aside", 7)):
            marks = ", ".join("?" * width)
            with suppress(sqlite3.DatabaseError):
                for row in old.execute(f"SELECT * FROM {name}"):
                    new.execute(f"INSERT OR IGNORE INTO {name} VALUES ({marks})", row)
        for row in _readable(old):
            new.execute("INSERT OR IGNORE INTO reading VALUES (?, ?, ?, ?, ?, ?)", row)
            saved += 1
            highest = max(highest, row[0])
            latest = max(latest, 0 if row[4] else row[2])
        table.write_state(new, _state(old) or State(secrets.randbits(62), highest + GAP, latest))
        new.execute("COMMIT")
    return saved


def _state(db: sqlite3.Connection) -> State | None:
    try:
        return table.state(db)
    except sqlite3.DatabaseError:
        return None


def _readable(db: sqlite3.Connection) -> Iterator[tuple[int, int, int, int, int, int]]:
    """The rows that can be read, oldest first, halving around what cannot."""
    ranges = [(1, 1 << 62)]
    failures = 0
    while ranges and failures < FAILURES:
        low, high = ranges.pop()
        try:
            rows = db.execute(
                f"SELECT {_ROW} FROM reading WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?", (low, high, CHUNK)
            ).fetchall()
        except sqlite3.DatabaseError:
            failures += 1
            if low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]
            continue
        yield from (row for row in rows if all(type(value) is int for value in row))
        if len(rows) == CHUNK:
            ranges.append((rows[-1][0] + 1, high))
