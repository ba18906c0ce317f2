"""The spool's file: made whole or not at all, refused unchanged if it is somebody else's.

Settings and their reasons (bytes to the card per reading and power-cut results measured for each):
page 512 with psow=0 pads each commit to a block of its own, so a torn block never damages an older one;
WAL with FULL is the one mode that neither lost nor corrupted a committed reading; EXCLUSIVE needs no `-shm`
file (a fifth fewer writes) and keeps a second process out; grown to working size, the file goes on storing when
the disk is full, and an append overwrites blocks in place.
"""

import secrets
import sqlite3
from contextlib import closing, suppress
from os import O_DIRECTORY, O_RDONLY, fsync
from os import close as close_fd
from os import open as open_fd
from pathlib import Path
from shutil import disk_usage
from typing import Final

from agent.errors import AgentError, ForeignSpool, SpoolError, TryLater
from agent.spool import table

APPLICATION_ID: Final = 0x53507631  # "SPv1", at byte 68 of the file
SCHEMA_VERSION: Final = 1
PAGE: Final = 512
BYTES_PER_READING: Final = 28  # measured at page size 512
MAX_PREALLOCATED: Final = 8 << 20
WAL_PAGES: Final = 250  # frames before a checkpoint
WAL_BYTES: Final = 2 * WAL_PAGES * PAGE  # the commit that reaches the threshold may go far beyond it
WAL_HEADER: Final = 32  # bytes, https://www.sqlite.org/fileformat2.html#walformat


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its extension; 255 if the error is of the Python module itself."""
    return int(getattr(error, "sqlite_errorcode", -1)) & 0xFF


def open_or_create(path: Path, *, max_readings: int) -> sqlite3.Connection:
    """An exclusive connection to the spool at `path`, which is made if there is none.

    Raises ForeignSpool, TryLater (another process has it), SpoolError, or sqlite3.DatabaseError of a damaged file.
    """
    try:
        if not is_spool(path):
            create(path, size=preallocated(max_readings))
        return connect(path)
    except (OSError, sqlite3.OperationalError) as error:
        raise refusal(path, error) from error


def refusal(path: Path, error: OSError | sqlite3.Error) -> AgentError:
    """The error that says why the spool at `path` cannot be opened, and what to look at."""
    if isinstance(error, sqlite3.Error) and primary_code(error) == sqlite3.SQLITE_BUSY:
        return TryLater(f"spool.path: {path} is in use by another process", hint="systemctl status sensor-agent")
    return SpoolError(f"spool.path: {path} cannot be opened: {error}", hint=f"ls -l {path.parent}; df {path.parent}")


def preallocated(max_readings: int) -> int:
    """Bytes that a spool of that many readings is grown to when it is made."""
    return min(MAX_PREALLOCATED, max_readings * BYTES_PER_READING + (64 << 10))


def is_spool(path: Path) -> bool:
    """Whether there is a spool of ours; judged by the file's first 100 bytes, before SQLite may touch it.

    Raises ForeignSpool if something else is there, OSError if that cannot be seen.
    """
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        if path.is_symlink():  # its disk is not mounted: a new file here would hide the readings that are there
            raise
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


def create(path: Path, *, size: int) -> None:
    """Make the whole file under another name and rename it: a power cut leaves a spool or none."""
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
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    try:
        with closing(sqlite3.connect(fresh, isolation_level=None)) as db:
            db.execute(f"PRAGMA page_size={PAGE}")
            db.execute("PRAGMA auto_vacuum=NONE")
            db.execute("PRAGMA cache_size=-64")  # with the default and a journal in memory, growing cost 11 MiB of heap
            db.execute("PRAGMA journal_mode=OFF")  # what fails here is thrown away whole
            db.execute("PRAGMA synchronous=OFF")
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            db.executescript(table.SCHEMA)
            table.write_state(db, table.State(secrets.randbits(62)))
            grown = _grow(db, size)
        sync(fresh)
        sync(fresh.parent)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return fresh if grown else make(path, size=0)  # it has taken all the room there was, and the WAL needs some


def connect(path: Path) -> sqlite3.Connection:
    """An exclusive connection with the settings above; raises sqlite3.Error."""
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
        _kept_wal(path).unlink(missing_ok=True)
        wal = Path(f"{path}-wal")
        small = not wal.exists() or wal.stat().st_size < WAL_BYTES
        if small and disk_usage(path.parent).free > 4 * WAL_BYTES:  # the file may grow by as much
            _grow(db, WAL_BYTES)
    except BaseException:
        db.close()
        raise
    return db


def disconnect(db: sqlite3.Connection, path: Path) -> None:
    """Close the connection and keep the WAL's blocks for the next one.

    SQLite deletes the WAL when it closes; on a full disk the next start could not grow it again. So it gets
    a second name meanwhile, and its header is wiped, which makes it an empty WAL of full size.
    """
    wal, kept = Path(f"{path}-wal"), _kept_wal(path)
    with suppress(OSError):  # a file system without hard links: the next start grows a new one
        kept.unlink(missing_ok=True)
        kept.hardlink_to(wal)
    db.close()
    with suppress(OSError):
        if wal.exists() or not kept.exists():
            kept.unlink(missing_ok=True)
            return
        with kept.open("r+b") as file:
            file.write(bytes(WAL_HEADER))
            file.flush()
            fsync(file.fileno())
        kept.rename(wal)
        sync(path.parent)


def _kept_wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal.kept")


def _grow(db: sqlite3.Connection, size: int) -> bool:
    """Make the file `size` bytes longer and leave the space free inside; False if there is no room.

    One commit takes the pages, in pieces of what the cache holds, so that the WAL gets as long; a second one frees
    them: pages freed by the commit that took them are never written and leave holes in the file.
    """
    try:
        db.execute("BEGIN")
        db.execute("CREATE TABLE IF NOT EXISTS pad(bytes BLOB)")
        for _ in range(-(-size // (64 << 10))):
            db.execute("INSERT INTO pad VALUES (zeroblob(?))", (min(size, 64 << 10),))
        db.execute("COMMIT")
        db.execute("DROP TABLE pad")
    except sqlite3.OperationalError:  # the spool works all the same, it only does not outlive a full disk
        with suppress(sqlite3.Error):
            db.rollback()
        with suppress(sqlite3.Error):
            db.execute("DROP TABLE IF EXISTS pad")
        return False
    return True


def sync(path: Path) -> None:
    """Put a file or a directory's names on disk."""
    fd = open_fd(path, O_RDONLY | (O_DIRECTORY if path.is_dir() else 0))
    try:
        fsync(fd)
    finally:
        close_fd(fd)
