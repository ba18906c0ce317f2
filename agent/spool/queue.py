"""The queue between sampling and delivery: what `append` returned from is on flash until `ack` or `set_aside`.

One connection, one lock, any thread. Three ways out for a reading:
acknowledged, set aside with its reason, or dropped and counted when the spool is full.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from agent.errors import SpoolError
from agent.ledger import Cause, Gap, joined
from agent.reading import Reading
from agent.spool import aside, front, held
from agent.spool.bounds import Limits
from agent.spool.front import Counts
from agent.spool.row import Spooled
from agent.spool.shelf import Shelf
from agent.spool.writer import Writer


class Spool:
    """A spool file opened for this process alone.

    Raises ForeignSpool if the path holds somebody else's file, TryLater if another process has it open. A damaged
    file is moved aside and what can be read of it follows. A file that cannot be opened or made is tried again at
    each `append`; meanwhile readings are kept in memory and delivered from there.
    """

    def __init__(self, path: Path, *, limits: Limits | None = None, watermark: Path | None = None) -> None:
        self.limits = limits or Limits()  # may be replaced while running
        self._lock = threading.RLock()
        self._shelf = Shelf(path, watermark)
        self._writer = Writer(self._shelf, path)
        self.last_tick = range(0)  # the numbers that the latest `append` gave
        self._writer.open(self.limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Commit what is in memory and let go of the file."""
        with self._lock:
            self._writer.close(self.limits)

    @property
    def last_seconds(self) -> int:
        """The latest UTC second appended: stamps after a restart continue above it.

        Goes back once when a clock that was over an hour ahead is set right.
        """
        return self._shelf.last_seconds

    def newcomers(self) -> Callable[[Spooled], bool]:
        """Tells the readings that come from now on and are later than all before; none until the file could be opened."""
        shelf = self._shelf
        since = shelf.began and (shelf.next_seq, shelf.last_seconds)

        def is_new(spooled: Spooled) -> bool:
            number, second = since or shelf.began or (spooled.seq + 1, 0)
            return spooled.seq >= number and spooled.reading.unix_seconds > second

        return is_new

    def begin(self, boot_id: str) -> str:
        """Say in which boot this process runs; gives the boot of the process before it, empty if that is not known."""
        with self._lock:
            before = self._shelf.boot_id or self._shelf.state.boot_id
            self._shelf.boot_id = boot_id
            return before

    def append(
        self,
        readings: Sequence[Reading],
        *,
        boot_id: str = "",
        now: float = 0.0,
        utc: float | None = None,
        missed: Sequence[Gap] = (),
    ) -> None:
        """Store one tick's readings in one commit, together with the acknowledgements since the last one.

        With `boot_id` their `unix_seconds` count from that boot, and they are held until `release`. `now` is
        monotonic (the window's clock); `utc` lets the age limit be applied. When the disk refuses, the readings
        stay in memory (bounded), `counts().trouble` says why, and the next call tries again. What was `missed`
        rides on a commit and asks for none.
        """
        with self._lock:
            shelf = self._shelf
            shelf.gaps = joined([*shelf.gaps, *missed]) if missed else shelf.gaps
            self._writer.before_tick(len(readings), self.limits, now=now, utc=utc)
            shelf.add(readings, boot_id)
            self._writer.after_tick(len(readings), self.limits, now=now, utc=utc)
            self.last_tick = range(shelf.next_seq - len(readings), shelf.next_seq)
            shelf.overflow()
            self._writer.salvage_a_piece()

    def head(self, limit: int = 64) -> list[Spooled]:
        """The oldest pending readings, at most `limit`, oldest first; consumes nothing.

        Stops before the first held one. A row whose checksum does not match is set aside on the way.
        Raises SpoolError if the disk refuses that.
        """
        while True:
            with self._lock:
                sendable = front.sendable(self._shelf, limit)
                if len(sendable) >= limit or not self._writer.salvage_a_piece():
                    return sendable or front.once_more(self._shelf, limit)

    def latest(self) -> list[Spooled]:
        """What is pending of the latest tick and may be sent; raises SpoolError if the disk refuses."""
        with self._lock:
            rows = [row for seq in self.last_tick for row in self._shelf.find(seq)]
            return [row.spooled() for row in rows if row.intact and not row.boot]

    def ack(self, seq: int) -> None:
        """The shield has it. Survives a killed process at once, a power cut from the next commit on."""
        with self._lock:
            shelf = self._shelf
            if front.is_once_more(shelf, seq):
                shelf.again.leave([seq])
                shelf.owing = True
                return
            if shelf.departed.has(seq):
                return
            try:
                there = shelf.departed.shows(seq) or bool(shelf.find(seq))  # else dropped meanwhile
            except SpoolError:
                there = True  # counted anew with the next connection
            if there:
                shelf.deliver(seq)
                if not shelf.memory.rows and not shelf.owing:
                    self._writer.since = None

    def set_aside(self, seq: int, *, status: int | None, reason: str) -> None:
        """Take a refused reading out of the queue with its reason; on flash when this returns.

        Raises SpoolError if the disk refuses; then it is still pending.
        """
        with self._lock:
            shelf = self._shelf
            if front.is_once_more(shelf, seq):
                aside.move_again(shelf, seq, status=status, reason=reason)
                return
            aside.move(shelf, shelf.find(seq), status=status, reason=reason, cause=Cause.REFUSED)

    def release(self, boot_id: str, *, offset_seconds: float) -> int:
        """Stamp the readings held since this boot: UTC = boot seconds + offset. Gives how many there were.

        Stays strictly increasing per sensor. Raises SpoolError if the disk refuses; the rest is still held.
        """
        with self._lock:
            self._writer.salvage_all()
            return held.release(self._shelf, boot_id, offset_seconds)

    def forget_boots(self, current: str) -> int:
        """Set aside what is held since earlier boots: nothing can tell its time any more. Gives how many.

        Raises SpoolError if the disk refuses.
        """
        with self._lock:
            self._writer.salvage_all()
            return held.forget_boots(self._shelf, current)

    def commit_departed(self) -> None:
        """Commit what has left since the last tick, so that it is of the past: for a person, and not on a tick."""
        with self._lock:
            if self._shelf.owing:
                self._writer.commit(self.limits, claim=max(self._shelf.next_seq, self._shelf.state.next_seq))

    def gaps(self) -> list[Gap]:
        """Why readings are missing, oldest first; the last thousand reasons."""
        with self._lock:
            return self._shelf.known_gaps()

    def counts(self) -> Counts:
        """How much is in here, in a time that does not grow with it (but see the first opening)."""
        with self._lock:
            return front.counts(self._shelf, trouble=self._writer.trouble.text)

    @contextmanager
    def shelf(self) -> Iterator[Shelf]:
        """Where everything lies, for this thread alone as long as it is held: for what a person asks."""
        with self._lock:
            yield self._shelf
