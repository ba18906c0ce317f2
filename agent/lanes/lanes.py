"""The buses of a board: who reads them, when, and who waits for it."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Generic

from agent.lanes.lane import GRACE_SECONDS, TURN_SECONDS, Lane, Work, threads_for
from agent.lanes.reader import END, FOREVER, READ, Reader, Result


class Lanes(Generic[Work, Result]):
    """Has work read on its buses, for one thread. Results are in `finished` as soon as they are there, and whoever waits
    is woken once, by the last.
    """

    def __init__(
        self,
        read: Callable[[Work], Result],
        break_down: Callable[[Work, BaseException], Result],
        *,
        monotonic: Callable[[], float],
        hang_seconds: float,
    ) -> None:
        self.finished: deque[Result] = deque()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._read, self._break_down = read, break_down
        self.monotonic, self._hang_seconds = monotonic, hang_seconds
        self._lanes: dict[str, Lane[Work]] = {}
        self._readers: list[Reader[Work, Result]] = []
        self._lock = threading.Lock()  # over all below, and no read happens under it
        self._waiting: deque[Lane[Work]] = deque()
        self._awaited: set[Lane[Work]] = set()
        self._idle: list[Reader[Work, Result]] = []
        self._ahead: Mapping[str, Sequence[Work]] = {}
        self._ahead_at = self._again_at = FOREVER
        self._turn = TURN_SECONDS
        self._closed = False

    def prepare(self, works: Mapping[str, Sequence[Work]], at: float, again: float) -> float:
        """Have each bus read its work from `at` on (monotonic s); `again` is when more can be expected after that.

        Gives the seconds after which all is read if nothing takes longer than the last time.
        """
        with self._lock:
            self._ahead, self._ahead_at, self._again_at = works, at, again
            self._turn = min(TURN_SECONDS, (again - at) / 2)
            seconds = sum(self._lanes.setdefault(bus, Lane()).took for bus in works)
            on_its_way = any(reader.until <= at for reader in self._idle)
        if not on_its_way:  # the first time, and after an overrun
            self._call(1)
        return min(seconds, TURN_SECONDS) + GRACE_SECONDS  # what takes longer is waited for there

    def read(self, works: Mapping[str, Sequence[Work]], buses: Collection[str], deadline: float) -> None:
        """Have each bus read its work, after what it still has, and wait for these buses: until all are through, or the
        deadline (monotonic s), or all that are not hang.
        """
        turn = min(TURN_SECONDS, (deadline - self.monotonic()) / 2)
        with self._lock:
            self._begin(self._ahead)
            expected = self._begin(works)
            awaited = () if self._closed else buses
            self._awaited = {lane for bus in awaited if not (lane := self._lanes[bus]).free}
            while not self._bell.empty():  # rung when the tick before had stopped waiting
                self._bell.get()
        self._wait(deadline, threads_for(expected, turn), min(expected + GRACE_SECONDS, turn))

    def forget(self) -> None:
        """What was prepared and has not begun is not read."""
        with self._lock:
            self._ahead, self._ahead_at = {}, FOREVER

    def hangs(self, bus: str) -> bool:
        """Whether the read under way there is overdue."""
        now = self.monotonic()
        return self._lanes[bus].hangs_at(now, self._hang_seconds) <= now

    def close(self) -> None:
        """Let the threads end; one that hangs in the kernel ends with the process."""
        with self._lock:
            self._closed, self._awaited = True, set()
            self._bell.put(None)  # whoever waits goes with what is there
            for reader in self._readers:
                reader.orders.put(END)

    def take(self, work: Work) -> Result:
        """For a reader: the result, also of a driver that breaks down."""
        try:
            return self._read(work)
        except BaseException as fault:  # noqa: BLE001 - which must take neither its bus nor the thread with it
            return self._break_down(work, fault)

    def due(self, reader: Reader[Work, Result]) -> bool:
        """For a reader that has come by itself: begin what was prepared, with as many others as it takes."""
        with self._lock:
            if reader not in self._idle:  # called in this very moment
                reader.until = FOREVER
                return False
            reader.until = self._ahead_at
            if self.monotonic() < reader.until:
                return False
            self._idle.remove(reader)
            threads = threads_for(self._begin(self._ahead), self._turn)
        self._call(min(threads, len(self._waiting)) - 1)
        return True

    def after(self, lane: Lane[Work] | None, reader: Reader[Work, Result]) -> Lane[Work] | None:
        """For a reader: the same bus while there is more to read on it, then the next that waits; None if none does."""
        with self._lock:
            if lane is not None and lane.left:
                return lane
            now = self.monotonic()
            following = self._waiting.popleft() if self._waiting else None
            if following is not None:
                following.turned = now
            else:
                at = self._ahead_at if self._ahead else self._again_at
                reader.until = FOREVER if any(other.until <= at for other in self._idle) else at
                self._idle.append(reader)
            if lane is not None:
                lane.free, lane.took = True, now - lane.turned
                if lane in self._awaited:
                    self._awaited.discard(lane)  # before the bell: who hears it looks at once
                    if all(other.hangs_at(now, self._hang_seconds) <= now for other in self._awaited):
                        self._bell.put(None)
            return following

    def _begin(self, works: Mapping[str, Sequence[Work]]) -> float:
        """Let these buses wait for a thread, the fastest first; gives the seconds that all that wait will take."""
        for bus, work in works.items():
            lane = self._lanes.setdefault(bus, Lane())
            lane.left.extend(work)
            if lane.free:
                lane.free = False
                self._waiting.append(lane)
        self._waiting = deque(sorted(self._waiting, key=lambda lane: lane.took))
        self._ahead, self._ahead_at = {}, FOREVER
        return sum(lane.took for lane in self._waiting)

    def _wait(self, deadline: float, threads: int, patience: float) -> None:
        """For those awaited, with so many threads more at work. A bus that still waits after `patience` seconds is behind
        one that keeps its thread, and gets another.
        """
        while True:
            now = self.monotonic()
            hang = max((lane.hangs_at(now, self._hang_seconds) for lane in tuple(self._awaited)), default=now)
            seconds = min(deadline, hang) - now
            timeout = max(0.0, min(seconds, patience) if self._waiting else seconds)
            self._call(min(threads, len(self._waiting)))
            with suppress(queue.Empty):
                self._bell.get(timeout=timeout)
            if seconds <= 0 or not self._awaited:
                break
            threads, patience = 1, min(patience, GRACE_SECONDS)
        with self._lock:
            self._awaited = set()

    def _call(self, count: int) -> None:
        """Put so many readers to work: idle ones, then new ones, of which as many as buses are enough."""
        with self._lock:
            called = [self._idle.pop() for _ in range(min(count, len(self._idle)))]
            while len(called) < count and len(self._readers) < len(self._lanes) and not self._closed:
                called.append(Reader(self))
                called[-1].start()
                self._readers.append(called[-1])
            for reader in called:
                reader.until = FOREVER
        for reader in called:
            reader.orders.put(READ)
