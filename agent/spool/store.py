"""The spool's file: opened for this process alone, refused unchanged if it is somebody else's.

Settings and their reasons (bytes to the card per reading and power-cut results measured for each):
page 512 with psow=0 pads each commit to a block of its own, so a torn block never damages an older one;
WAL with FULL is the one mode that neither lost nor corrupted a committed reading; EXCLUSIVE needs no `-shm`
file (a fifth fewer writes) and keeps a second process out; grown to working size, the file goes on storing when
the disk is full, and an append overwrites blocks in place.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.errors import AgentError, ForeignSpool, SpoolError, TryLater
from agent.spool import blank
from agent.spool.header import has_mark, read_header
from agent.spool.schema import APPLICATION_ID, SCHEMA_VERSION, migrate

WAL_PAGES: Final = 250  # frames before a checkpoint
WAL_BYTES: Final = 2 * WAL_PAGES * blank.PAGE  # the commit that reaches the threshold may go far beyond it
WAL_HEADER: Final = 32  # bytes, https://www.sqlite.org/fileformat2.html#walformat
_DAMAGE: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT}


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the error says that the file is damaged, not that the disk is full, read-only, gone or busy."""
    no_text = str(error).startswith("Could not decode")  # of the Python module itself, without a code
    return no_text or primary_code(error) in _DAMAGE or type(error) is sqlite3.DatabaseError


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its extension; 255 if the error is of the Python module itself."""
    return int(getattr(error, "sqlite_errorcode", -1)) & 0xFF


def open_or_create(path: Path, *, max_readings: int) -> sqlite3.Connection:
    """An exclusive connection to the spool at `path`, which is made if there is none.

    Raises ForeignSpool, TryLater (another process has it), SpoolError, or sqlite3.DatabaseError of a damaged file.
    """
    try:
        if not is_spool(path):
            blank.create(path, size=blank.preallocated(max_readings))
        return connect(path)
    except (OSError, sqlite3.OperationalError) as error:
        raise refusal(path, error) from error


def refusal(path: Path, error: OSError | sqlite3.Error) -> AgentError:
    """The error that says why the spool at `path` cannot be opened, and what to look at."""
    if isinstance(error, sqlite3.Error) and primary_code(error) == sqlite3.SQLITE_BUSY:
        return TryLater(f"spool.path: {path} is in use by another process", hint="systemctl status sensor-agent")
    look = f"ls -ld {path} {path.parent}; df {path.parent}; findmnt -T {path.parent}"
    return SpoolError(f"spool.path: {path} cannot be opened: {error}{_obstacle(path)}", hint=look)


def _obstacle(path: Path) -> str:
    """What stands in the way, where the system's words do not say it: SQLite only knows that it cannot."""
    with suppress(OSError):
        if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
            return " (the file system is mounted read-only)"
        for each in (path, path.parent):
            if each.exists() and not os.access(each, os.W_OK):
                return f" ({each} belongs to user {each.stat().st_uid}, this process runs as user {os.geteuid()})"
    return ""


def is_spool(path: Path) -> bool:
    """Whether there is a spool of ours; judged by its header, before SQLite may touch it.

    Raises ForeignSpool if something else is there, OSError if that cannot be seen.
    """
    try:
        header = read_header(path, application_id=APPLICATION_ID)
    except FileNotFoundError:
        if path.is_symlink():  # its disk is not mounted: a new file here would hide the readings that are there
            raise
        return False
    except (IsADirectoryError, NotADirectoryError) as error:
        raise ForeignSpool(f"spool.path: {path}: {error.strerror}", hint="choose another spool.path") from error
    if has_mark(header, APPLICATION_ID):
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


def connect(path: Path) -> sqlite3.Connection:
    """An exclusive connection with the settings above, to tables that are up to date; raises sqlite3.Error."""
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
        kept_wal(path).unlink(missing_ok=True)
        wal = Path(f"{path}-wal")
        small = not wal.exists() or wal.stat().st_size < WAL_BYTES
        if small and room(path.parent) > 4 * WAL_BYTES:  # the file may grow by as much
            blank.grow(db, WAL_BYTES)
        migrate(db)
    except BaseException:
        db.close()
        raise
    return db


def disconnect(db: sqlite3.Connection, path: Path) -> None:
    """Close the connection and keep the WAL's blocks for the next one.

    SQLite deletes the WAL when it closes; on a full disk the next start could not grow it again. So it gets
    a second name meanwhile, and its header is wiped, which makes it an empty WAL of full size.
    """
    wal, kept = Path(f"{path}-wal"), kept_wal(path)
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
            os.fsync(file.fileno())
        kept.rename(wal)
        blank.sync(path.parent)


def kept_wal(path: Path) -> Path:
    """The second name of the WAL while the connection is closed."""
    return path.with_name(path.name + "-wal.kept")


def room(directory: Path | str) -> int:
    """Free bytes there; raises OSError. Not by shutil, which brings bz2 and lzma: 0.5 MiB."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize
