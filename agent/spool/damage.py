"""A damaged spool is no reason to stop: it is moved aside, and a new one takes over at once.

What can still be read of the old one follows by and by (`salvage`). It stays as `….damaged-N`, for a person; the last
two are kept, each no larger than a spool.
"""

import logging
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from agent.spool import blank, salvage, store, table
from agent.spool.damaged_files import place
from agent.spool.table import State

log = logging.getLogger(__name__)

KEPT: Final = 2
GAP: Final = 1 << 20  # numbers skipped when the file no longer says which were used
ADRIFT: Final = 1 << 40  # and where to go on, at random, when it does not even say which it holds
_NOT_DAMAGE: Final = "error code="  # how quick_check speaks of a page that the disk does not give


def check(db: sqlite3.Connection, *, thorough: bool) -> None:
    """Raises sqlite3.DatabaseError if the file is damaged where everything hangs on it, or (`thorough`: 0.1 s for a
    million readings) wherever SQLite can see it; sqlite3.OperationalError if the disk does not let it see.
    """
    table.state(db)
    table.sensors(db)
    table.boots(db)
    table.totals(db, floor=0)
    if thorough and (found := db.execute("PRAGMA quick_check(1)").fetchone()) != ("ok",):
        kind = sqlite3.OperationalError if _NOT_DAMAGE in str(found) else sqlite3.DatabaseError
        raise kind(str(found[0] if found else "quick_check says nothing"))


def damaged_files(path: Path) -> list[tuple[int, Path]]:
    """The damaged files beside the spool, oldest first, each with its number."""
    found = [
        (each.name.removeprefix(f"{path.name}.damaged-"), each) for each in path.parent.glob(f"{path.name}.damaged-*")
    ]
    return sorted((int(number), each) for number, each in found if number.isdecimal())


def was_interrupted(path: Path) -> bool:
    """Whether a power cut came while the spool was moved aside: it has two names then, and its WAL has left it."""
    with suppress(OSError):
        return any(each.samefile(path) for _, each in damaged_files(path))
    return False


def move_aside(path: Path, *, max_readings: int) -> None:
    """Put a new spool in the place of the damaged one.

    Raises SpoolError if that cannot be written, TryLater if another process has the file; then nothing is lost, and
    the next call goes on.
    """
    before = [(number, each) for number, each in damaged_files(path) if not each.samefile(path)]
    number = max((number for number, _ in before), default=0) + 1
    damaged = place(path, number)
    try:
        for _, old in before[: len(before) + 1 - KEPT]:
            old.unlink(missing_ok=True)
            Path(f"{old}-wal").unlink(missing_ok=True)
        fresh = blank.make(path, size=blank.preallocated(max_readings))
        _begin(damaged if damaged.exists() else path, fresh, number=number)
        blank.sync(fresh)
        if not damaged.exists():
            damaged.hardlink_to(path)
        wal = Path(f"{path}-wal")
        if wal.exists():  # else the new file would be given the old one's pages
            wal.rename(f"{damaged}-wal")
        store.kept_wal(path).unlink(missing_ok=True)
        blank.sync(path.parent)
        fresh.rename(path)
        blank.sync(path.parent)
    except (OSError, sqlite3.OperationalError) as error:
        path.with_name(path.name + ".new").unlink(missing_ok=True)
        raise store.refusal(path, error) from error
    log.error("spool damaged: a new one takes over, and what can be read follows", extra={"FILE": str(damaged)})


def _begin(damaged: Path, fresh: Path, *, number: int) -> None:
    """Give the new file the old one's small tables, and the order to salvage its readings."""
    uri = f"{damaged.absolute().as_uri()}?psow=0"
    with (
        closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0.2)) as old,
        closing(sqlite3.connect(fresh, isolation_level=None)) as new,
    ):
        old.execute("PRAGMA locking_mode=EXCLUSIVE")  # no -shm file beside it
        new.execute("PRAGMA locking_mode=EXCLUSIVE")
        new.execute("PRAGMA synchronous=OFF")  # the whole file is synced before it gets its name
        new.execute("BEGIN")
        for name in ("sensor", "boot", "set_aside", "gap", "again", "past"):
            for row in _readable(old, f"SELECT * FROM {name}"):
                new.execute(f"INSERT OR IGNORE INTO {name} VALUES ({', '.join('?' * len(row))})", row)
        state = _state(old)
        table.write_state(new, state)
        left = [salvage.Range(*row) for row in _readable(old, "SELECT low, high, file FROM salvage ORDER BY low")]
        low, high = _ends(old, state)
        salvage.write(new, salvage.woven(left, file=number, low=low, high=high))
        new.execute("COMMIT")


def _ends(db: sqlite3.Connection, state: State) -> tuple[int, int]:
    """The lowest and the highest number that a reading in the file can have."""
    for low, high in _readable(db, "SELECT first_seq, last_seq FROM state"):
        if type(low) is int and type(high) is int and 0 < low <= high + 1 <= state.next_seq:
            below = [seq for (seq,) in _readable(db, "SELECT min(seq) FROM reading") if type(seq) is int]
            beyond = [*_readable(db, f"SELECT 1 FROM reading WHERE seq > {high} LIMIT 1")]  # written by an older agent
            return min([low, *below]), state.next_seq - 1 if beyond else high
    return 1, state.next_seq - 1


def _readable(db: sqlite3.Connection, sql: str) -> Iterator[Any]:
    """Rows up to the first that cannot be read."""
    with suppress(sqlite3.DatabaseError):
        yield from db.execute(sql)


def _state(db: sqlite3.Connection) -> State:
    """What the file says of itself, or numbers that it cannot have given."""
    for row in _readable(db, "SELECT spool_id, next_seq, last_seconds, dropped FROM state"):
        if all(type(value) is int and value >= 0 for value in row):
            return State(*row[:4])
    for (highest,) in _readable(db, "SELECT max(seq) FROM reading"):
        return State(secrets.randbits(62), (highest or 0) + GAP)
    return State(secrets.randbits(62), ADRIFT + secrets.randbelow(ADRIFT))
