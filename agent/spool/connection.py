"""The connection to the spool's file, which may be lost and made again: disks fill up, vanish, and come back.

An error of the disk is never taken for damage: after one, the file is opened anew and checked before anything is
concluded. SQLite would go on writing into a file that somebody has deleted or replaced, so its place is looked at.
"""

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from agent.errors import SpoolError
from agent.spool import blank, damage, store, table
from agent.spool.row import Row

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
SPARE_PAGES: Final = 64  # a tick of a few dozen sensors, and a block of the past
PAGE_ROWS: Final = 8  # a page holds 17; other tables have longer rows
MOST_ROWS: Final = 1_000  # of a commit that does not say how many it adds
MOST_PAGES: Final = 0x3FFFFFFF  # half a terabyte: what SQLite has by itself
BROKEN: Final = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN}


class Connection:
    """At most one connection to the file at `path`; closed when made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commits = 0  # since the start, each with its share of the file system's journal
        self._directory = str(path.parent)  # made each time, it took 14,000 of a commit's 606,000 instructions
        self.roomy = True  # so was the file at the latest commit: for the past, too
        self.spare: int | None = None  # bytes then free in the file and on its disk
        self._capped = False
        self._db: sqlite3.Connection | None = None
        self._suspect = False  # given up because the file looked damaged
        self._places: tuple[tuple[int, int], ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._db is not None

    @property
    def db(self) -> sqlite3.Connection:
        """The connection; raises SpoolError if there is none."""
        if self._db is None:
            raise SpoolError(f"spool: {self.path} is not open")
        return self._db

    def open(self, *, max_readings: int) -> sqlite3.Connection:
        """A connection that works, to a new file if the old one is damaged.

        Raises ForeignSpool, TryLater if another process has the file, SpoolError if the disk does not give it.
        """
        if not self.path.exists():
            self._same_disk()
        try:
            if damage.was_interrupted(self.path):
                damage.move_aside(self.path, max_readings=max_readings)
            db = store.open_or_create(self.path, max_readings=max_readings)
            try:
                damage.check(db, thorough=self._suspect)
            except sqlite3.Error:
                db.close()
                raise
        except sqlite3.Error as error:
            if not store.is_damage(error):
                raise store.refusal(self.path, error) from error
            damage.move_aside(self.path, max_readings=max_readings)
            db = store.open_or_create(self.path, max_readings=max_readings)
        self._suspect = False
        self._db, self._capped = db, False
        self._places = self._look()
        return db

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                store.disconnect(self._db, self.path)
            self._db = None

    def rows(self, where: str, *values: object) -> list[Row]:
        """Rows of the file; raises SpoolError if it cannot be read."""
        return self.ask(lambda db: table.rows(db, where, *values))

    def ask(self, query: "Callable[[sqlite3.Connection], Answer]") -> "Answer":
        """The query's answer, which must be whole when it returns; raises SpoolError if the file cannot be read."""
        try:
            return query(self.db)
        except sqlite3.Error as error:
            raise self._failed("cannot be read", error) from error

    def _make_room(self, rows: int) -> bool:
        """See that the file has free pages for so many rows, and on a full disk that it does not outgrow those it has.

        It grows whole and at once: what is committed beyond its end waits in the WAL for pages that no checkpoint can
        write on a disk that is full by then, until the WAL is full, too, and nothing is ever stored again.
        """
        need = SPARE_PAGES + rows // PAGE_ROWS
        try:
            free = store.room(self._directory)
        except OSError as error:
            raise store.refusal(self.path, error) from error
        full = free <= 2 * need * blank.PAGE  # the WAL may grow by as much
        if full is not self._capped:  # no page beyond those that it has
            self.ask(lambda db: db.execute(f"PRAGMA max_page_count={1 if full else MOST_PAGES}").fetchone())
            self._capped = full
        pages = self.ask(lambda db: db.execute("PRAGMA freelist_count").fetchone()[0])
        self.spare = pages * blank.PAGE + free
        if pages >= need:
            return True
        return not full and self.ask(lambda db: blank.lengthen(db, need * blank.PAGE))

    @contextmanager
    def transaction(self, *, rows: int = MOST_ROWS) -> Iterator[sqlite3.Connection]:
        """One commit of so many new rows at most, on flash when it is left; raises SpoolError and changes nothing if the
        disk refuses.
        """
        self.roomy = self._make_room(rows)
        db = self.db
        try:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
            self.commits += 1
        except BaseException as error:
            with suppress(sqlite3.Error):
                db.rollback()  # does nothing after SQLITE_FULL, which has rolled back by itself
            if not isinstance(error, sqlite3.Error):
                raise
            raise self._failed("not storing", error) from error

    def stay_in_place(self, *, max_readings: int) -> None:
        """See that the file is still the one under its name: 5 µs, beside a commit of a millisecond.

        One that was deleted is put back with all its readings. Raises SpoolError if another file, or another disk,
        has taken its place: that is for a person to decide, and nothing is stored meanwhile.
        """
        try:
            if self._look() == self._places:
                return
        except OSError:
            pass
        if self.path.exists() and self.path.stat()[1:3] != self._places[0]:
            raise SpoolError(
                f"spool.path: {self.path} was replaced by another file while in use",
                hint=f"move {self.path} away: the spool in use is put back; or restart, to use the new one",
            )
        self._same_disk()
        log.error("spool file was deleted while in use, it is put back", extra={"FILE": str(self.path)})
        try:
            self._put_back()
        except (OSError, sqlite3.Error) as error:
            raise store.refusal(self.path, error) from error
        self.open(max_readings=max_readings)

    def _same_disk(self) -> None:
        """Raises SpoolError if another file system is where the file was: a new file there would hide the old one."""
        parent = self.path.parent
        if self._places and (not parent.exists() or parent.stat().st_dev != self._places[0][1]):
            raise SpoolError(f"spool.path: the disk of {self.path} is gone", hint=f"findmnt -T {parent}")

    def _put_back(self) -> None:
        """Write the open file's content under its name again."""
        fresh = blank.begun(self.path)
        with closing(sqlite3.connect(fresh)) as copy:
            self.db.backup(copy)
        blank.sync(fresh)
        fresh.rename(self.path)  # a WAL that is still there says the same pages once more
        blank.sync(self.path.parent)
        self.db.close()
        self._db = None

    def _look(self) -> tuple[tuple[int, int], ...]:
        """Inode and device of the file and, if there is one, of its WAL; raises OSError."""
        wal = f"{self.path}-wal"
        seen = [os.stat(self.path), *([os.stat(wal)] if os.path.exists(wal) else [])]  # noqa: PTH110, PTH116
        return tuple((each.st_ino, each.st_dev) for each in seen)

    def _failed(self, what: str, error: sqlite3.Error) -> SpoolError:
        """After an input/output error SQLite needs a new connection, made by the next commit."""
        if store.primary_code(error) in BROKEN and self._db is not None:
            self._suspect = store.is_damage(error)
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None
        hint = f"df {self.path.parent}; findmnt -T {self.path.parent}; journalctl -k"
        return SpoolError(f"spool: {self.path} {what}: {error}", hint=hint)
