"""The spool's file: made whole or not at all, refused unchanged if it is somebody else's.

Settings and their reasons (bytes to the card per reading and power-cut results measured for each):
page 512 with psow=0 pads each commit to a block of its own, so a torn block never damages an older one;
WAL with FULL is the one mode that neither lost nor corrupted a committed reading; EXCLUSIVE needs no `-shm`
file (a fifth fewer writes) and keeps a second process out; grown to working size, the file goes on storing when
the disk is full, and an append overwrites blocks in place.
"""

import secrets
import sqlite3
from contextlib import closing
from os import O_DIRECTORY, O_RDONLY, fsync
from os import close as close_fd
from os import open as open_fd
from pathlib import Path
from typing import Final

from agent.errors import ForeignSpool, SpoolError, TryLater

APPLICATION_ID: Final = 0x53507631  # "SPv1", at byte 68 of the file
SCHEMA_VERSION: Final = 1
PAGE: Final = 512
BYTES_PER_READING: Final = 28  # measured at page size 512
MAX_PREALLOCATED: Final = 8 << 20
WAL_PAGES: Final = 250

_SCHEMA: Final = """
CREATE TABLE reading(seq INTEGER PRIMARY KEY, sensor INTEGER NOT NULL, seconds INTEGER NOT NULL,
                     milli INTEGER NOT NULL, boot INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE TABLE sensor(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE boot(id INTEGER PRIMARY KEY, boot_id TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE set_aside(seq INTEGER PRIMARY KEY, sensor TEXT NOT NULL, seconds INTEGER NOT NULL,
                       milli INTEGER NOT NULL, status INTEGER, reason TEXT NOT NULL) STRICT;
CREATE TABLE state(spool_id INTEGER NOT NULL, next_seq INTEGER NOT NULL, last_seconds INTEGER NOT NULL,
                   dropped INTEGER NOT NULL) STRICT;
"""


def open_or_create(path: Path, *, max_readings: int) -> sqlite3.Connection:
    """An exclusive connection to the spool at `path`, which is made if there is none.

    Raises ForeignSpool, TryLater (another process has it) or SpoolError.
    """
    try:
        if not _is_ours(path):
            _create(path, size=min(MAX_PREALLOCATED, max_readings * BYTES_PER_READING + (64 << 10)))
        return _open(path)
    except (OSError, sqlite3.Error) as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            raise TryLater(
                f"spool.path: {path} is in use by another process", hint="systemctl status sensor-agent"
            ) from error
        raise SpoolError(
            f"spool.path: {path} cannot be opened: {error}", hint=f"ls -l {path.parent}; df {path.parent}"
        ) from error


def _is_ours(path: Path) -> bool:
    """Whether there is a spool of ours; judged by the file's first 100 bytes, before SQLite may touch it."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return False
    if header[:16] == b"SQLite format 3\0" and int.from_bytes(header[68:72], "big") == APPLICATION_ID:
        version = int.from_bytes(header[60:64], "big")
        if version > SCHEMA_VERSION:
            raise ForeignSpool(
                f"spool.path: {path} was written by a newer sensor-agent (schema {version}, this one knows"
                f" {SCHEMA_VERSION}); it was not touched",
                hint="install the newer version again, or choose another spool.path",
            )
        return True
    raise ForeignSpool(
        f"spool.path: {path} is not a spool of sensor-agent (begins with {header[:16]!r}); it was not touched",
        hint="choose another spool.path, or move that file away",
    )


def _create(path: Path, *, size: int) -> None:
    """Make the whole file under another name and rename it: a power cut leaves a spool or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    for leftover in (fresh, Path(f"{path}-wal"), Path(f"{path}-journal")):
        leftover.unlink(missing_ok=True)  # a WAL without its database is of a file that somebody removed
    fresh.touch(mode=0o600)
    with closing(sqlite3.connect(fresh, isolation_level=None)) as db:
        db.execute(f"PRAGMA page_size={PAGE}")
        db.execute("PRAGMA auto_vacuum=NONE")
        db.execute("PRAGMA journal_mode=OFF")
        db.execute("PRAGMA synchronous=OFF")
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        db.executescript(_SCHEMA)
        db.execute("INSERT INTO state VALUES (?, 1, 0, 0)", (secrets.randbits(62),))
        _grow(db, size)
    for name in (fresh, fresh.parent):
        _sync(name)
    fresh.rename(path)
    _sync(path.parent)


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?psow=0", uri=True, isolation_level=None, timeout=0.2, check_same_thread=False
    )
    try:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")  # before WAL, else there is a -shm file
        if db.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
            db.execute("PRAGMA journal_mode=PERSIST")  # a file system without WAL; FULL is safe in this mode too
        for setting in (
            "synchronous=FULL",
            "secure_delete=OFF",
            f"wal_autocheckpoint={WAL_PAGES}",
            "journal_size_limit=-1",
            "cache_size=-64",
            "mmap_size=0",
            "trusted_schema=OFF",
        ):
            db.execute(f"PRAGMA {setting}")
        wal = Path(f"{path}-wal")
        if not wal.exists() or wal.stat().st_size < WAL_PAGES * PAGE:
            _grow(db, WAL_PAGES * PAGE)
    except BaseException:
        db.close()
        raise
    return db


def _grow(db: sqlite3.Connection, size: int) -> None:
    """Make the file and the WAL `size` bytes longer and leave the space free inside of them."""
    try:
        db.execute("BEGIN")
        db.execute("CREATE TABLE pad(bytes BLOB)")
        for _ in range(max(1, size >> 20)):
            db.execute("INSERT INTO pad VALUES (zeroblob(?))", (min(size, 1 << 20),))
        db.execute("DROP TABLE pad")
        db.execute("COMMIT")
    except sqlite3.OperationalError:
        if db.in_transaction:
            db.execute("ROLLBACK")  # no room to grow in: the spool works, it only does not outlive a full disk


def _sync(path: Path) -> None:
    fd = open_fd(path, O_RDONLY | (O_DIRECTORY if path.is_dir() else 0))
    try:
        fsync(fd)
    finally:
        close_fd(fd)
