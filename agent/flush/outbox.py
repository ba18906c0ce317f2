"""Which reading goes next: the oldest, but for suspects."""

from collections import deque
from typing import Final

from agent.delivery import Answer, Suspects
from agent.errors import SpoolError
from agent.spool import Spool, Spooled

BATCH: Final = 64  # readings fetched at once: 0.2 ms of SQLite for every 64 POSTs


class Outbox:
    """Chooses from the spool; a reading stays its choice until it is gone, or others can tell more. For one thread."""

    def __init__(self, spool: Spool) -> None:
        self.suspects = Suspects()
        self._spool = spool
        self._queue: deque[Spooled] = deque()

    def next(self, now: float) -> Spooled | None:
        """The reading to send at `now` (monotonic s); None if there is none, or the disk does not give any."""
        try:
            chosen = self._choose(self._queue, now)
            if chosen is None or not self._can_tell(chosen, now):
                self._queue = deque(self._spool.head(max(BATCH, 2 * len(self.suspects.of))))
                chosen = self._choose(self._queue, now)
        except SpoolError:
            return None  # the spool tells of its trouble itself; the next tick tries again
        return chosen

    def judge(self, spooled: Spooled, answer: Answer, now: float) -> bool:
        """Take note of the answer; gives whether the reading is to be set aside."""
        self.suspects, to_blame = self.suspects.after(spooled.seq, answer, now)
        return to_blame

    def gone(self, spooled: Spooled) -> None:
        """The reading has left the spool."""
        if spooled in self._queue:
            self._queue.remove(spooled)

    def _can_tell(self, spooled: Spooled, now: float) -> bool:
        suspicion = self.suspects.of.get(spooled.seq)
        return suspicion is None or suspicion.may_tell(now)

    def _choose(self, waiting: deque[Spooled], now: float) -> Spooled | None:
        if not self.suspects.of:
            return waiting[0] if waiting else None
        seq = self.suspects.choose([spooled.seq for spooled in waiting], now)
        return next((spooled for spooled in waiting if spooled.seq == seq), None)
