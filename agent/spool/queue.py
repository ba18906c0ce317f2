"""The queue between sampling and delivery: what `append` returned from is on flash until `ack` or `set_aside`.

One connection, one lock, any thread. Three ways out for a reading:
acknowledged, set aside with its reason, or dropped and counted when the spool is full.
"""

import logging
import secrets
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final, Self

from agent.errors import SpoolError, TryLater
from agent.reading import Reading
from agent.spool import bounds, salvage, store, table
from agent.spool.bounds import Limits
from agent.spool.row import Row, Spooled
from agent.spool.table import State
from agent.spool.watermark import Watermark

log = logging.getLogger(__name__)

MEMORY_READINGS: Final = 20_000  # kept while the disk refuses them; about 4 MiB
SET_ASIDE_READINGS: Final = 1_000  # kept for a person to look at; what goes beyond is a counted drop
CHUNK: Final = 1_000  # rows touched in one transaction, so that a year of held readings needs no more memory
AHEAD: Final = 10_000  # numbers claimed in advance by a window, whose readings may leave without any commit
ADRIFT: Final = 1 << 40  # numbers the file cannot claim are taken at random from beyond: none is given twice
BROKEN: Final = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN}


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
    SpoolError if it cannot be opened or made. A damaged file is rebuilt.
    """

    def __init__(self, path: Path, *, limits: Limits | None = None, watermark: Path | None = None) -> None:
        self.limits = limits or Limits()  # may be replaced while running
        self._path = path
        self._lock = threading.RLock()
        self._trouble = ""
        self._fresh: list[Row] = []  # numbered, not yet committed
        self._window: deque[int] = deque()  # what `head` gave out last, oldest first
        self._settled: set[int] = set()  # left above the floor, perhaps not yet deleted from the file
        self._owing = False  # the file still holds readings that have left
        self._waiting_since: float | None = None  # when the oldest thing to be committed came
        self._suspect = False  # the connection was given up because the file looked damaged
        self._db: sqlite3.Connection | None = self._open()
        self._state = table.state(self._db)  # as in the file
        self._dropped, self._last_seconds = self._state.dropped, self._state.last_seconds
        self._mark = Watermark(watermark, self._state.spool_id)
        self._floor = self._mark.seq  # every reading up to here has left
        self._next_seq = max(self._state.next_seq, self._floor + 1)
        self._take_stock(self._db)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Commit what is in memory and let go of the file."""
        with self._lock:
            if self._fresh or self._owing or self._state.next_seq != self._next_seq:
                self._commit(claim=self._next_seq)
            if self._fresh:
                log.error("readings lost at stop", extra={"READINGS": len(self._fresh), "ERROR": self._trouble})
            if self._db is not None:
                store.disconnect(self._db, self._path)
                self._db = None
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
            window = self.limits.window_seconds > 0
            if window and self._due(now, coming=len(readings)):
                # before the new ones come, which may still be delivered in time
                self._commit(claim=self._next_seq + len(readings) + AHEAD, utc=utc)
            self._add(readings, boot_id)
            if self._waiting_since is None and (self._fresh or self._owing):
                self._waiting_since = now
            if not window and (self._fresh or self._owing or self._trouble):
                self._commit(claim=self._next_seq, utc=utc)
            if self._trouble and self._next_seq > self._state.next_seq:
                self._drift(len(readings))
            self._bound_memory()

    def head(self, limit: int = 64) -> list[Spooled]:
        """The oldest pending readings, at most `limit`, oldest first; consumes nothing.

        Stops before the first held one. A row whose checksum does not match is set aside on the way.
        Raises SpoolError if the disk refuses that.
        """
        with self._lock:
            rows = self._rows(limit)
            while damaged := [row for row in rows if not row.intact]:
                self._set_damaged_aside(damaged)
                rows = self._rows(limit)
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
            if seq > self._floor and seq not in self._settled:
                try:
                    there = seq in self._window or bool(self._find(seq))  # else dropped meanwhile
                except SpoolError:
                    there = True  # counted anew with the next connection
                if there:
                    self._left([seq])

    def set_aside(self, seq: int, *, status: int | None, reason: str) -> None:
        """Take a refused reading out of the queue with its reason; on flash when this returns.

        Raises SpoolError if the disk refuses; then it is still pending.
        """
        with self._lock:
            self._move_aside(self._find(seq), status=status, reason=reason)

    def release(self, boot_id: str, *, offset_seconds: float) -> int:
        """Stamp the readings held since this boot: UTC = boot seconds + offset. Gives how many there were.

        Stays strictly increasing per sensor. Raises SpoolError if the disk refuses; the rest is still held.
        """
        with self._lock:
            released = 0
            latest: dict[str, int] = {}
            boot = self._boots.get(boot_id, 0)
            while rows := self._held_rows("seq > ? AND boot = ? ORDER BY seq LIMIT ?", self._floor, boot, CHUNK):
                stamped = self._stamped(rows, offset_seconds, latest)
                state = replace(self._state, last_seconds=self._last_seconds)
                with self._transaction() as db:
                    table.restamp(db, list(stamped.values()))
                    table.write_state(db, state)
                self._state = state
                self._held -= len(rows)
                released += len(rows)
            in_memory = [row for row in self._fresh if boot and row.boot == boot]
            stamped = self._stamped(in_memory, offset_seconds, latest)
            self._fresh = [stamped.get(row.seq, row) for row in self._fresh]
            self._held -= len(in_memory)
            return released + len(in_memory)

    def forget_boots(self, current: str) -> int:
        """Set aside what is held since earlier boots: nothing can tell its time any more. Gives how many.

        Raises SpoolError if the disk refuses.
        """
        with self._lock:
            forgotten = 0
            now = self._boots.get(current, 0)
            where = "seq > ? AND boot != 0 AND boot != ? ORDER BY seq LIMIT ?"
            while rows := self._held_rows(where, self._floor, now, CHUNK):
                self._move_aside(rows, status=None, reason="its boot ended before the clock could be trusted")
                forgotten += len(rows)
            return forgotten

    def counts(self) -> Counts:
        """How much is in here, in a time that does not grow with it (but see the first opening)."""
        with self._lock:
            oldest = next(iter(self._rows(1, "AND boot = 0" if self._held else "")), None)
            return Counts(
                pending=self._pending,
                held=self._held,
                set_aside=self._set_aside,
                dropped=self._dropped,
                oldest=oldest.seconds if oldest else None,
                trouble=self._trouble,
            )

    def _open(self) -> sqlite3.Connection:
        """A connection that works, after a rebuild if the file is damaged."""
        try:
            db = store.open_or_create(self._path, max_readings=self.limits.max_readings)
            try:
                salvage.check(db, thorough=self._suspect)
            except sqlite3.Error:
                db.close()
                raise
        except sqlite3.Error as error:
            if not salvage.is_damage(error):
                raise store.refusal(self._path, error) from error
            salvage.rebuild(self._path, max_readings=self.limits.max_readings)
            db = store.open_or_create(self._path, max_readings=self.limits.max_readings)
        self._suspect = False
        return db

    def _take_stock(self, db: sqlite3.Connection) -> None:
        """Count what the file and the memory hold."""
        self._sensors, self._boots = table.sensors(db), table.boots(db)
        self._pending, self._held, self._set_aside = table.totals(db, floor=self._floor)
        self._before_held = self._last_seconds
        if self._fresh:  # a commit that seemed to fail may be in the file all the same
            there = {row.seq for row in table.rows(db, "seq >= ?", self._fresh[0].seq)}
            self._fresh = [row for row in self._fresh if row.seq not in there]
        self._pending += len(self._fresh) - sum(bool(table.rows(db, "seq = ?", seq)) for seq in self._settled)
        self._held += sum(row.boot != 0 for row in self._fresh)

    def _due(self, now: float, *, coming: int) -> bool:
        """Whether something has waited for the whole window, or the claimed numbers run out."""
        over = self._waiting_since is not None and now - self._waiting_since >= self.limits.window_seconds
        return over or bool(self._trouble) or self._next_seq + coming > self._state.next_seq

    def _add(self, readings: Sequence[Reading], boot_id: str) -> None:
        boot = _number(self._boots, boot_id) if boot_id else 0
        if boot and not self._held:
            self._before_held = self._last_seconds
        for reading in readings:
            self._fresh.append(Row.make(self._next_seq, reading, boot=boot))
            self._next_seq += 1
            if not boot:
                self._last_seconds = max(self._last_seconds, reading.unix_seconds)
        self._pending += len(readings)
        self._held += len(readings) if boot else 0

    def _drift(self, count: int) -> None:
        """Number the last `count` readings anew: the file would give theirs again after a power cut."""
        if self._next_seq < self._state.next_seq + ADRIFT:
            self._next_seq = self._state.next_seq + ADRIFT + secrets.randbelow(ADRIFT)
            kept, moved = self._fresh[: len(self._fresh) - count], self._fresh[len(self._fresh) - count :]
            for row in moved:
                reading = Reading(row.sensor, row.milli, row.seconds)
                kept.append(Row.make(self._next_seq, reading, boot=row.boot))
                self._next_seq += 1
            self._fresh = kept

    def _rows(self, limit: int, condition: str = "") -> list[Row]:
        """The oldest rows that have not left, of the file and then of the memory."""
        try:
            where = f"seq > ? {condition} ORDER BY seq LIMIT ?"
            stored = self._select(where, self._floor, limit + len(self._settled))
        except SpoolError:
            stored = []  # a disk that cannot be read must not keep the memory from being delivered
        fresh = (row for row in self._fresh if not (condition and row.boot))
        return list(islice((row for row in (*stored, *fresh) if row.seq not in self._settled), limit))

    def _find(self, seq: int) -> list[Row]:
        """The one row of that number, if it is still pending."""
        if seq <= self._floor or seq in self._settled:
            return []
        return [row for row in self._fresh if row.seq == seq] or self._select("seq = ?", seq)

    def _held_rows(self, where: str, *values: object) -> list[Row]:
        """Held rows of the file; damaged ones are set aside, lest a new stamp make them look sound."""
        while self._held and (rows := self._select(where, *values)):
            damaged = [row for row in rows if not row.intact]
            if not damaged:
                return rows
            self._set_damaged_aside(damaged)
        return []

    def _select(self, where: str, *values: object) -> list[Row]:
        if self._db is None:
            raise SpoolError(f"spool: {self._trouble}")
        try:
            return table.rows(self._db, where, *values)
        except sqlite3.Error as error:
            raise self._failed("cannot be read", error) from error

    def _stamped(self, rows: Sequence[Row], offset: float, latest: dict[str, int]) -> dict[int, Row]:
        """The held rows in UTC, by number; each sensor's second above its `latest`, which moves on."""
        stamped = {}
        for row in rows:
            utc = max(round(row.seconds + offset), latest.get(row.sensor, self._before_held) + 1)
            latest[row.sensor] = utc
            stamped[row.seq] = Row.make(row.seq, Reading(row.sensor, row.milli, utc))
            self._last_seconds = max(self._last_seconds, utc)
        return stamped

    def _left(self, seqs: Iterable[int]) -> None:
        """Count readings out, and move the floor up to the oldest one that is still here."""
        gone = set(seqs)
        still_fresh = [row for row in self._fresh if row.seq not in gone]
        self._owing = self._owing or len(self._fresh) - len(still_fresh) < len(gone)
        self._fresh = still_fresh
        self._settled |= gone
        self._pending -= len(gone)
        if not self._fresh and not self._owing:
            self._waiting_since = None
        while self._window and self._window[0] in self._settled:
            self._floor = self._window.popleft()
            self._settled.discard(self._floor)
        self._mark.write(self._floor)

    def _set_damaged_aside(self, rows: list[Row]) -> None:
        log.error("damaged readings set aside", extra={"READINGS": len(rows)})
        self._move_aside(rows, status=None, reason="damaged in the spool: its checksum does not match")

    def _move_aside(self, rows: list[Row], *, status: int | None, reason: str) -> None:
        if not rows:
            return
        with self._transaction() as db:
            surplus = table.move_aside(db, rows, status=status, reason=reason, keep=SET_ASIDE_READINGS)
            state = self._state_with(surplus, next_seq=max(self._next_seq, self._state.next_seq))
            table.write_state(db, state)
        self._state = state
        self._dropped += surplus
        self._set_aside += len(rows) - surplus
        self._held -= sum(row.boot != 0 for row in rows)
        self._left([row.seq for row in rows])

    def _commit(self, *, claim: int, utc: float | None = None) -> None:
        """Put the memory on flash; when the disk refuses, everything stays in memory and `trouble` says why.

        Numbers below `claim` are taken from then on, also after a power cut.
        """
        try:
            if self._db is None:
                self._db = self._open()
                self._take_stock(self._db)
            try:
                self._write(claim=claim, utc=utc, thin=self.limits.thin)
            except SpoolError:
                if not self.limits.thin or self._pending <= self.limits.max_readings:
                    raise
                # thinning rewrites half of the file, for which a full disk has no room: drop the oldest instead
                self._write(claim=claim, utc=utc, thin=False)
        except (SpoolError, TryLater) as error:
            self._trouble = self._trouble or str(error)
            return
        self._fresh.clear()
        self._settled.intersection_update(self._window)
        self._owing, self._waiting_since, self._trouble = False, None, ""

    def _write(self, *, claim: int, utc: float | None, thin: bool) -> None:
        """New rows in, settled rows out, bounds kept."""
        for row in self._fresh:
            _number(self._sensors, row.sensor)
        with self._transaction() as db:
            table.insert(db, self._fresh, sensor_ids=self._sensors, boot_ids=self._boots)
            table.delete(db, floor=self._floor, settled=self._settled)
            limits = replace(self.limits, thin=thin)
            dropped = bounds.keep(db, limits, floor=self._floor, pending=self._pending, utc=utc)
            held = table.totals(db, floor=self._floor)[1] if dropped and self._held else self._held
            state = self._state_with(dropped, next_seq=claim)
            table.write_state(db, state)
        self._state, self._held = state, held
        self._dropped += dropped
        self._pending -= dropped
        if dropped:
            self._window.clear()  # what `head` gave out may be gone; `ack` looks for itself

    def _state_with(self, dropped: int, *, next_seq: int) -> State:
        return State(self._state.spool_id, next_seq, self._last_seconds, self._dropped + dropped)

    def _bound_memory(self) -> None:
        """Drop the oldest rows that the disk refuses, and count them; the count reaches the file when it heals."""
        excess = len(self._fresh) - MEMORY_READINGS
        if excess > 0:
            gone, self._fresh = self._fresh[:excess], self._fresh[excess:]
            self._held -= sum(row.boot != 0 for row in gone)
            self._dropped += excess
            self._pending -= excess
            self._window.clear()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One commit, on flash when it is left; raises SpoolError and changes nothing if the disk refuses."""
        db = self._db
        if db is None:
            raise SpoolError(f"spool: {self._trouble}")
        try:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                db.rollback()  # does nothing after SQLITE_FULL, which has rolled back by itself
            if not isinstance(error, sqlite3.Error):
                raise
            raise self._failed("not storing", error) from error

    def _failed(self, what: str, error: sqlite3.Error) -> SpoolError:
        """Note the trouble; after an input/output error SQLite needs a new connection, made by the next commit."""
        self._trouble = f"{what}: {error}"
        if store.primary_code(error) in BROKEN and self._db is not None:
            self._suspect = salvage.is_damage(error)
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None
        return SpoolError(f"spool: {self._path} {self._trouble}", hint=f"df {self._path.parent}; journalctl -k")


def _number(names: dict[str, int], name: str) -> int:
    """The name's number in the file, a new one if need be."""
    return names.setdefault(name, max(names.values(), default=0) + 1)
