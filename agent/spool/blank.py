"""A new spool file: made whole beside its place and renamed, so that a power cut leaves a spool or none."""

import secrets
import sqlite3
from contextlib import closing, suppress
from os import O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, fchown, fsync, geteuid
from os import close as close_fd
from os import open as open_fd
from pathlib import Path
from typing import Final

from agent.spool import past, table
from agent.spool.schema import APPLICATION_ID, SCHEMA, SCHEMA_VERSION

PAGE: Final = 512
BYTES_PER_READING: Final = 28  # measured at page size 512
MAX_PREALLOCATED: Final = 8 << 20
PIECE_BYTES: Final = 64 << 10  # what the cache holds: growing by more at a time costs 11 MiB of heap


def preallocated(max_readings: int) -> int:
    """Bytes that a spool of that many readings, and of its past, is grown to when it is made."""
    return min(MAX_PREALLOCATED, max_readings * BYTES_PER_READING + (64 << 10)) + past.room(max_readings)


def create(path: Path, *, size: int) -> None:
    """Make the spool at `path`; raises OSError or sqlite3.OperationalError, and then nothing is left of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in (Path(f"{path}-wal"), Path(f"{path}-journal")):
        leftover.unlink(missing_ok=True)  # a WAL without its database is of a file that somebody removed
    fresh = make(path, size=size)
    fresh.rename(path)
    sync(path.parent)


def make(path: Path, *, size: int) -> Path:
    """A new spool's file beside `path`, on disk when this returns; nothing is left of it if that fails.

    It is grown to `size` bytes if the disk has them, else made small.
    """
    fresh = begun(path)
    try:
        with closing(sqlite3.connect(fresh, isolation_level=None)) as db:
            db.execute(f"PRAGMA page_size={PAGE}")
            db.execute("PRAGMA auto_vacuum=NONE")
            db.execute("PRAGMA cache_size=-64")
            db.execute("PRAGMA journal_mode=OFF")  # what fails here is thrown away whole
            db.execute("PRAGMA synchronous=OFF")
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            db.executescript(SCHEMA)
            table.write_state(db, table.State(secrets.randbits(62)))
            grown = grow(db, size)
            if grown:  # else the file is of no use any more
                db.execute("PRAGMA locking_mode=EXCLUSIVE")  # before WAL, else there is a -shm file
                db.execute("PRAGMA journal_mode=WAL")  # now: to say it later rewrites the first block in place
        sync(fresh)
        sync(fresh.parent)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return fresh if grown else make(path, size=0)  # it has taken all the room there was, and the WAL needs some


def begun(path: Path) -> Path:
    """An empty file beside `path` that only its owner may read; what an earlier try left of it is gone."""
    fresh = path.with_name(path.name + ".new")
    for leftover in (fresh, Path(f"{fresh}-wal"), Path(f"{fresh}-shm")):
        leftover.unlink(missing_ok=True)
    close_fd(new_file(fresh))
    return fresh


def new_file(path: Path) -> int:
    """A descriptor of a file that was not there, mode 0600. Raises OSError.

    Where root makes it, as by `run --once`, it is the directory's owner's: the service must open it afterwards.
    """
    fd = open_fd(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    if geteuid() == 0:
        with suppress(OSError):  # a file system without owners
            owner = path.parent.stat()
            fchown(fd, owner.st_uid, owner.st_gid)
    return fd


def grow(db: sqlite3.Connection, size: int) -> bool:
    """Make the file `size` bytes longer and leave the space free inside; False if there is no room.

    One commit takes the pages, so that a WAL gets as long; a second one frees them: pages freed by the commit that
    took them are never written and leave holes in the file.
    """
    try:
        db.execute("BEGIN")
        db.execute("CREATE TABLE IF NOT EXISTS pad(bytes BLOB)")
        for _ in range(-(-size // PIECE_BYTES)):
            db.execute("INSERT INTO pad VALUES (zeroblob(?))", (min(size, PIECE_BYTES),))
        db.execute("COMMIT")
        db.execute("DROP TABLE pad")
    except sqlite3.OperationalError:  # the spool works all the same, it only does not outlive a full disk
        with suppress(sqlite3.Error):
            db.rollback()
        with suppress(sqlite3.Error):
            db.execute("DROP TABLE IF EXISTS pad")
        return False
    return True


def lengthen(db: sqlite3.Connection, size: int) -> bool:
    """The same, of a file in use: the space is in the file when this returns, and not in its WAL."""
    if not grow(db, size):
        return False
    db.execute("PRAGMA wal_checkpoint").fetchone()
    return True


def sync(path: Path) -> None:
    """Put a file or a directory's names on disk."""
    fd = open_fd(path, O_RDONLY | (O_DIRECTORY if path.is_dir() else 0))
    try:
        fsync(fd)
    finally:
        close_fd(fd)
