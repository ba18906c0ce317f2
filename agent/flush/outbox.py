"""Which reading goes next, or which several: the oldest, but for suspects, and for the newest tick where that goes first."""

from collections import deque
from collections.abc import Mapping
from itertools import islice
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
        self._live: deque[Spooled] = deque()
        self._tick = range(0)

    def next(self, now: float, *, live_first: bool) -> Spooled | None:
        """The reading to send at `now` (monotonic s); None if there is none, or the disk does not give any."""
        try:
            if live_first:
                self._take_live()
            chosen = self._choose(now)
            if chosen is None or not self._can_tell(chosen, now):
                self._fetch(BATCH)
                chosen = self._choose(now)
        except SpoolError:
            return None  # the spool tells of its trouble itself; the next tick tries again
        return chosen

    def several(self, now: float, *, live_first: bool, most: int) -> list[Spooled]:
        """What may go in one request, at most `most`: those that can tell anything new, the oldest first.

        A single one or none is `next`'s to choose; so it is while everyone is refused.
        """
        if most < 2 or self.suspects.refuses_everyone:
            return []
        try:
            if live_first:
                self._take_live()
            self._fetch(most)
        except SpoolError:
            return []
        waiting = {spooled.seq: spooled for spooled in (*self._live, *self._queue)}
        return list(islice((each for each in waiting.values() if self._can_tell(each, now)), most))

    def judge(self, spooled: Spooled, answer: Answer, now: float) -> bool:
        """Take note of the answer; gives whether the reading is to be set aside."""
        self.suspects, to_blame = self.suspects.after(spooled.seq, answer, now)
        return to_blame

    def judge_batch(self, answers: Mapping[int, Answer], now: float) -> set[int]:
        """Take note of the answers to several readings; gives which of them are to be set aside."""
        self.suspects, to_blame = self.suspects.after_batch(answers, now)
        return to_blame

    def gone(self, spooled: Spooled) -> None:
        """The reading has left the spool."""
        for waiting in (self._live, self._queue):
            if waiting and waiting[0] is spooled:
                waiting.popleft()
            elif spooled in waiting:
                waiting.remove(spooled)

    def _fetch(self, least: int) -> None:
        self._queue = deque(self._spool.head(max(least, 2 * len(self.suspects.of))))

    def _take_live(self) -> None:
        """The readings of a tick that is new; what is left of the one before waits its turn."""
        if self._spool.last_tick != self._tick:
            self._tick = self._spool.last_tick
            self._live = deque(self._spool.latest())

    def _can_tell(self, spooled: Spooled, now: float) -> bool:
        suspicion = self.suspects.of.get(spooled.seq)
        return suspicion is None or suspicion.may_tell(now)

    def _choose(self, now: float) -> Spooled | None:
        if not self.suspects.of:
            return next(iter(self._live or self._queue), None)
        waiting = {spooled.seq: spooled for spooled in (*self._live, *self._queue)}
        seq = self.suspects.choose(list(waiting), now)
        return None if seq is None else waiting[seq]
