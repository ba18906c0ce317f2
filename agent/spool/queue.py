"""The queue between sampling and delivery: what `append` returned from is on flash until `ack` or `set_aside`.

One connection, one lock, any thread. Three ways out for a reading:
acknowledged, set aside with its reason, or dropped and counted when the spool is full.
"""

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Self

from agent.errors import SpoolError
from agent.reading import Reading
from agent.spool import bounds, store
from agent.spool.bounds import Limits
from agent.spool.row import Row, Spooled
from agent.spool.watermark import Watermark

log = logging.getLogger(__name__)

MEMORY_READINGS: Final = 20_000  # kept while the disk refuses them; about 4 MiB
SET_ASIDE_READINGS: Final = 1_000  # kept for a person to look at; what goes beyond is a counted drop
CHUNK: Final = 1_000  # rows touched in one transaction, so that a year of held readings needs no more memory


@dataclass(frozen=True, slots=True)
class Counts:
    """`oldest` is the UTC second of the oldest pending reading, `held` of the pending ones wait for the clock.

    `trouble` says why the disk refuses; empty when all is well.
    """

    pending: int
    held: int
    set_aside: int
    dropped: int
    oldest: int | None
    trouble: str


class Spool:
    """A spool file opened for this process alone.

    Raises ForeignSpool if the path holds somebody else's file, TryLater if another process has it open,
    SpoolError if it cannot be opened or made.
    """

    def __init__(self, path: Path, *, limits: Limits | None = None, watermark: Path | None = None) -> None:
        self.limits = limits or Limits()  # may be replaced while running
        self._lock = threading.RLock()
        self._db = store.open_or_create(path, max_readings=self.limits.max_readings)
        state = self._db.execute("SELECT spool_id, next_seq, last_seconds, dropped FROM state").fetchone()
        self._next_seq: int
        self._last_seconds: int
        self._dropped: int
        spool_id, self._next_seq, self._last_seconds, self._dropped = state
        self._mark = Watermark(watermark, spool_id)
        self._floor = self._mark.seq  # every reading up to here has left
        self._next_seq = max(self._next_seq, self._floor + 1)
        self._sensors: dict[str, int] = dict(self._db.execute("SELECT name, id FROM sensor"))
        self._boots: dict[str, int] = dict(self._db.execute("SELECT boot_id, id FROM boot"))
        sql = "SELECT count(*), coalesce(sum(boot != 0), 0) FROM reading WHERE seq > ?"
        self._pending, self._held = self._db.execute(sql, (self._floor,)).fetchone()
        self._set_aside = self._db.execute("SELECT count(*) FROM set_aside").fetchone()[0]
        self._fresh: list[Row] = []  # numbered, not yet committed
        self._fresh_since = 0.0
        self._window: deque[int] = deque()  # what `head` gave out last, oldest first
        self._settled: set[int] = set()  # acknowledged, not yet deleted from the file
        self._trouble = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Commit what is in memory and let go of the file."""
        with self._lock:
            self._commit()
            if self._fresh:
                log.error("readings lost at stop", extra={"READINGS": len(self._fresh), "ERROR": self._trouble})
            self._db.close()
            self._mark.close()

    @property
    def last_seconds(self) -> int:
        """The latest UTC second that was ever appended: stamps after a restart continue above it."""
        return self._last_seconds

    def append(
        self, readings: Sequence[Reading], *, boot_id: str = "", now: float = 0.0, utc: float | None = None
    ) -> None:
        """Store one tick's readings in one commit, together with the acknowledgements since the last one.

        With `boot_id` their `unix_seconds` count from that boot, and they are held until `release`. `now` is
        monotonic (the window's clock); `utc` lets the age limit be applied. When the disk refuses, the readings
        stay in memory (bounded), `counts().trouble` says why, and the next call tries again.
        """
        with self._lock:
            boot = self._boots.setdefault(boot_id, len(self._boots) + 1) if boot_id else 0
            if not self._fresh:
                self._fresh_since = now
            for reading in readings:
                self._fresh.append(Row.make(self._next_seq, reading, boot=boot))
                self._next_seq += 1
                if not boot:
                    self._last_seconds = max(self._last_seconds, reading.unix_seconds)
            self._pending += len(readings)
            self._held += len(readings) if boot else 0
            if now - self._fresh_since >= self.limits.window_seconds:
                self._commit(utc=utc)
            self._bound_memory()

    def head(self, limit: int = 64) -> list[Spooled]:
        """The oldest pending readings, at most `limit`, oldest first; consumes nothing.

        Stops before the first held one. A row whose checksum does not match is set aside on the way.
        Raises SpoolError if the disk refuses that.
        """
        with self._lock:
            rows = self._rows(limit)
            damaged = [row for row in rows if not row.intact]
            if damaged:
                self._move_aside(damaged, status=None, reason="damaged in the spool: its checksum does not match")
                return self.head(limit)
            sendable: list[Spooled] = []
            for row in rows:
                if row.boot:
                    break
                sendable.append(row.spooled())
            self._window = deque(spooled.seq for spooled in sendable)
            return sendable

    def ack(self, seq: int) -> None:
        """The shield has it. Survives a killed process at once, a power cut from the next commit on."""
        with self._lock:
            if seq not in self._settled and (seq in self._window or self._has(seq)):  # else dropped meanwhile
                self._left([seq])

    def set_aside(self, seq: int, *, status: int | None, reason: str) -> None:
        """Take a refused reading out of the queue with its reason; on flash when this returns.

        Raises SpoolError if the disk refuses; then it is still pending.
        """
        with self._lock:
            rows = [row for row in self._rows(max(len(self._window), 1)) if row.seq == seq]
            self._move_aside(rows, status=status, reason=reason)

    def release(self, boot_id: str, *, offset_seconds: float) -> int:
        """Stamp the readings held since this boot: UTC = boot seconds + offset. Gives how many there were.

        Stays strictly increasing per sensor. Raises SpoolError if the disk refuses; the rest is still held.
        """
        with self._lock:
            released = 0
            latest: dict[str, int] = {}
            self._commit()
            while rows := self._held_rows("boot.boot_id = ?", boot_id):
                stamped = []
                for row in rows:
                    utc = max(round(row.seconds + offset_seconds), latest.get(row.sensor, 0) + 1)
                    latest[row.sensor] = utc
                    stamped.append(Row.make(row.seq, Reading(row.sensor, row.milli, utc)))
                self._last_seconds = max(self._last_seconds, *latest.values())
                with self._transaction():
                    self._db.executemany(
                        "UPDATE reading SET seconds = ?, boot = 0, crc = ? WHERE seq = ?",
                        [(row.seconds, row.crc, row.seq) for row in stamped],
                    )
                    self._write_state(0)
                self._held -= len(rows)
                released += len(rows)
            return released

    def forget_boots(self, current: str) -> int:
        """Set aside what is held since earlier boots: nothing can tell its time any more. Gives how many.

        Raises SpoolError if the disk refuses.
        """
        with self._lock:
            forgotten = 0
            while rows := self._held_rows("boot.boot_id != ?", current):
                self._move_aside(rows, status=None, reason="its boot ended before the clock could be trusted")
                forgotten += len(rows)
            return forgotten

    def counts(self) -> Counts:
        """How much is in here, in a time that does not grow with it (but see the first opening)."""
        with self._lock:
            oldest = next(iter(self._rows(1)), None)
            return Counts(
                pending=self._pending,
                held=self._held,
                set_aside=self._set_aside,
                dropped=self._dropped,
                oldest=oldest.seconds if oldest and not oldest.boot else None,
                trouble=self._trouble,
            )

    def _rows(self, limit: int) -> list[Row]:
        """The oldest rows that have not left, of the file and then of the memory."""
        gone_above = sum(seq > self._floor for seq in self._settled)
        try:
            stored = self._select("seq > ? ORDER BY seq LIMIT ?", self._floor, limit + gone_above)
        except SpoolError:
            stored = []  # a disk that cannot be read must not keep the memory from being delivered
        rows = (row for row in (*stored, *self._fresh) if row.seq > self._floor and row.seq not in self._settled)
        return list(islice(rows, limit))

    def _has(self, seq: int) -> bool:
        return any(row.seq == seq for row in self._fresh) or bool(self._select("seq = ? AND seq > ?", seq, self._floor))

    def _held_rows(self, which_boot: str, boot_id: str) -> list[Row]:
        where = f"seq > ? AND boot IN (SELECT id FROM boot WHERE {which_boot}) ORDER BY seq LIMIT ?"
        return self._select(where, self._floor, boot_id, CHUNK) if self._held else []

    def _select(self, where: str, *values: object) -> list[Row]:
        sql = (
            "SELECT seq, coalesce((SELECT name FROM sensor WHERE id = sensor), ''), seconds, milli, boot, crc"
            f" FROM reading WHERE {where}"
        )
        try:
            return [Row(*row) for row in self._db.execute(sql, values)]
        except sqlite3.Error as error:
            self._trouble = f"cannot be read: {error}"
            raise SpoolError(f"spool: {self._trouble}") from error

    def _left(self, seqs: Iterable[int]) -> None:
        """Count readings out, and move the floor up to the oldest one that is still here."""
        gone = set(seqs)
        self._settled |= gone
        self._pending -= len(gone)
        self._fresh = [row for row in self._fresh if row.seq not in gone]
        while self._window and self._window[0] in self._settled:
            self._floor = self._window.popleft()
        self._mark.write(self._floor)

    def _move_aside(self, rows: list[Row], *, status: int | None, reason: str) -> None:
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO set_aside(seq, sensor, seconds, milli, status, reason) VALUES (?, ?, ?, ?, ?, ?)",
                [(row.seq, row.sensor, row.seconds, row.milli, status, reason) for row in rows],
            )
            self._db.executemany("DELETE FROM reading WHERE seq = ?", [(row.seq,) for row in rows])
            surplus = self._db.execute(
                "DELETE FROM set_aside WHERE seq <= (SELECT seq FROM set_aside ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                (SET_ASIDE_READINGS,),
            ).rowcount
            self._write_state(surplus)
        self._dropped += surplus
        self._set_aside += len(rows) - surplus
        self._held -= sum(row.boot != 0 for row in rows)
        self._left(row.seq for row in rows)

    def _commit(self, *, utc: float | None = None) -> None:
        """Put the memory on flash; when the disk refuses, everything stays in memory and `trouble` says why."""
        try:
            with self._transaction():
                dropped = self._write(utc)
        except SpoolError:
            return
        self._fresh.clear()
        self._settled.intersection_update(self._window)
        self._count_drops(dropped)
        self._trouble = ""

    def _write(self, utc: float | None) -> int:
        """New rows in, settled rows out, bounds kept; gives the number of drops."""
        for name in {row.sensor for row in self._fresh}:
            self._sensors.setdefault(name, len(self._sensors) + 1)
        # all of them each time: a commit that failed has taken its new names back out of the file
        self._db.executemany("INSERT OR IGNORE INTO sensor(name, id) VALUES (?, ?)", self._sensors.items())
        self._db.executemany("INSERT OR IGNORE INTO boot(boot_id, id) VALUES (?, ?)", self._boots.items())
        self._db.executemany(
            "INSERT INTO reading(seq, sensor, seconds, milli, boot, crc) VALUES (?, ?, ?, ?, ?, ?)",
            [(row.seq, self._sensors[row.sensor], row.seconds, row.milli, row.boot, row.crc) for row in self._fresh],
        )
        self._db.execute("DELETE FROM reading WHERE seq <= ?", (self._floor,))
        self._db.executemany("DELETE FROM reading WHERE seq = ?", [(seq,) for seq in self._settled])
        dropped = self._bound_file(utc)
        self._write_state(dropped)
        return dropped

    def _write_state(self, dropped: int) -> None:
        self._db.execute(
            "UPDATE state SET next_seq = ?, last_seconds = ?, dropped = ?",
            (self._next_seq, self._last_seconds, self._dropped + dropped),
        )

    def _bound_file(self, utc: float | None) -> int:
        dropped = 0
        if utc is not None:
            dropped = bounds.too_old(self._db, floor=self._floor, before=int(utc - self.limits.max_age_seconds))
        pending = self._pending - dropped
        if pending > self.limits.max_readings and self.limits.thin:
            dropped += bounds.thin(self._db, floor=self._floor, pending=pending)
        excess = self._pending - dropped - self.limits.max_readings
        if excess > 0:
            dropped += bounds.too_many(self._db, floor=self._floor, excess=excess)
        return dropped

    def _bound_memory(self) -> None:
        """Drop the oldest rows that the disk refuses, and count them; the count reaches the file when it heals."""
        excess = len(self._fresh) - MEMORY_READINGS
        if excess > 0:
            gone, self._fresh = self._fresh[:excess], self._fresh[excess:]
            self._count_drops(len(gone))

    def _count_drops(self, dropped: int) -> None:
        if dropped:
            self._dropped += dropped
            self._pending -= dropped
            self._window.clear()  # what `head` gave out may be gone; `ack` looks for itself
            if self._held:
                sql = "SELECT count(*) FROM reading WHERE seq > ? AND boot != 0"
                self._held = self._db.execute(sql, (self._floor,)).fetchone()[0] + sum(
                    row.boot != 0 for row in self._fresh
                )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One commit, on flash when it is left; raises SpoolError and changes nothing if the disk refuses."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                self._db.rollback()  # does nothing after SQLITE_FULL, which has rolled back by itself
            if not isinstance(error, sqlite3.Error):
                raise
            self._trouble = f"not storing: {error}"
            raise SpoolError(f"spool: {self._trouble}") from error
