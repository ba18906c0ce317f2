"""What brings the memory to flash: when a commit is due, what follows if the disk refuses, and what a damaged file holds.

Not locked: the queue does that.
"""

import logging
import secrets
from pathlib import Path
from typing import Final

from agent.errors import ForeignSpool, SpoolError, TryLater
from agent.spool import commit
from agent.spool.bounds import Limits
from agent.spool.damage import ADRIFT
from agent.spool.salvage import Salvage
from agent.spool.shelf import Shelf
from agent.spool.trouble import Trouble

log = logging.getLogger(__name__)

AHEAD: Final = 10_000  # numbers claimed in advance by a window, whose readings may leave without any commit


class Writer:
    """`trouble` says why the disk refuses; `since` when the oldest thing to be committed came, None if there is none."""

    def __init__(self, shelf: Shelf, path: Path) -> None:
        self._shelf = shelf
        self._salvage = Salvage(path)
        self.trouble = Trouble()
        self.since: float | None = None

    def open(self, limits: Limits) -> None:
        """Open the file, or say in `trouble` why that cannot be; raises ForeignSpool, TryLater."""
        try:
            self._shelf.open(max_readings=limits.max_readings)
        except ForeignSpool:
            raise
        except SpoolError as error:
            self.trouble.begins(error)

    def before_tick(self, coming: int, limits: Limits, *, now: float, utc: float | None) -> None:
        """In a window, commit what is due before so many new readings come, which may still be delivered in time."""
        shelf = self._shelf
        if limits.window_seconds <= 0:
            return
        over = self.since is not None and now - self.since >= limits.window_seconds
        # or the claimed numbers run out
        if over or self.trouble.text or shelf.next_seq + coming > shelf.state.next_seq:
            self.commit(limits, claim=shelf.next_seq + coming + AHEAD, utc=utc)

    def after_tick(self, count: int, limits: Limits, *, now: float, utc: float | None) -> None:
        """Commit the `count` readings that came, but for a window; where the disk refuses, number them anew."""
        shelf = self._shelf
        waiting = bool(shelf.memory.rows or shelf.owing)
        if self.since is None and waiting:
            self.since = now
        if limits.window_seconds <= 0 and (waiting or self.trouble.text):
            self.commit(limits, claim=shelf.next_seq, utc=utc)
        if self.trouble.text and shelf.next_seq > shelf.state.next_seq:
            self._drift(count)

    def commit(self, limits: Limits, *, claim: int, utc: float | None = None, last: bool = False) -> None:
        """Put the memory on flash; when the disk refuses, everything stays in memory and `trouble` says why."""
        shelf = self._shelf
        stored = len(shelf.memory.rows)
        try:
            if not shelf.file.is_open:
                shelf.open(max_readings=limits.max_readings)
                claim = max(claim, shelf.next_seq)
            shelf.file.stay_in_place(max_readings=limits.max_readings)
            try:
                commit.write(shelf, limits, claim=claim, utc=utc, last=last)
            except SpoolError:
                if not shelf.file.is_open:
                    raise
                commit.write_in_pieces(shelf, limits, claim=claim, utc=utc)
        except (SpoolError, TryLater) as error:
            self.trouble.begins(error)
            return
        self.since = None
        self.trouble.ends(stored=stored)

    def salvage_a_piece(self) -> bool:
        """Whether another piece of a damaged file came in."""
        if not self._shelf.ranges or not self._shelf.file.is_open:
            return False
        try:
            self._shelf.salvage(self._salvage)
        except TryLater:  # the damaged file is in use: what it holds is still to come, as `salvage_left` says
            return False
        except SpoolError as error:
            self.trouble.begins(error)
            return False
        return True

    def salvage_all(self) -> None:
        """Bring in all of it that the disk takes."""
        while self.salvage_a_piece():
            pass

    def close(self, limits: Limits) -> None:
        """Commit what is in memory and let go of the file."""
        shelf = self._shelf
        owed = shelf.memory.rows or shelf.owing or shelf.gaps or shelf.tail.any
        if owed or shelf.state.next_seq != shelf.next_seq:
            self.commit(limits, claim=shelf.next_seq, last=True)
        if shelf.memory.rows:
            lost = {"READINGS": len(shelf.memory.rows), "REASON": self.trouble.text}
            log.error("readings lost at stop", extra=lost)
        self._salvage.close()
        shelf.file.close()
        shelf.departed.close()

    def _drift(self, count: int) -> None:
        """Number the last `count` readings anew: the file would give theirs again after a power cut."""
        shelf = self._shelf
        if shelf.next_seq < shelf.state.next_seq + ADRIFT:
            shelf.next_seq = shelf.state.next_seq + ADRIFT + secrets.randbelow(ADRIFT)
            shelf.next_seq = shelf.memory.renumber(count, shelf.next_seq)
