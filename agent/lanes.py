"""Buses and the threads that read them: one reads all in turn, but a bus that is slow or hangs has one to itself.

Threads that read files at the same time wait for each other, for Python's lock: three buses in three threads woke eight
times a tick, in one thread once. So a tick begins with as few threads as will be through in time, and another one is
woken for the buses that wait behind one that does not come back.
"""

import logging
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final, Generic, TypeVar

log = logging.getLogger(__name__)

Work = TypeVar("Work")
Result = TypeVar("Result")

TURN_SECONDS: Final = 1.0  # of reading are one thread's: a conversion on a 1-Wire bus, and what is fast beside it
GRACE_SECONDS: Final = 0.1  # later than expected, and the buses that wait get another thread
Orders = queue.SimpleQueue[bool]
READ, END = True, False  # what a thread is told


def block_signals() -> None:
    """Keep signals to the main thread: one that reaches a 1-Wire read makes it come back empty."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


class Lane(Generic[Work]):
    """One bus. `left` is to be read, by one thread at a time; it is `free` while none has it and it waits for none.

    `turned` is when a thread took it, `began` when the read under way did (monotonic s); `took` is how many seconds a
    thread had it the last time.
    """

    def __init__(self) -> None:
        self.left: deque[Work] = deque()
        self.free = True
        self.turned = self.took = 0.0
        self.began: float | None = None

    def hangs_at(self, now: float, hang_seconds: float) -> float:
        """When the read under way is overdue."""
        began = self.began
        return (now if began is None else began) + hang_seconds


class Lanes(Generic[Work, Result]):
    """Has work read on its buses, for one thread. Results are in `finished` as soon as they are there, and whoever waits
    is woken once, by the last. Idle, the threads wait and cost nothing.
    """

    def __init__(
        self,
        read: Callable[[Work], Result],
        break_down: Callable[[Work], Result],
        *,
        monotonic: Callable[[], float],
        hang_seconds: float,
    ) -> None:
        self.finished: deque[Result] = deque()
        self._read, self._break_down = read, break_down
        self._monotonic, self._hang_seconds = monotonic, hang_seconds
        self._lanes: dict[str, Lane[Work]] = {}
        self._threads: list[Orders] = []
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # over all below, and no read happens under it
        self._waiting: deque[Lane[Work]] = deque()
        self._awaited: set[Lane[Work]] = set()
        self._idle: list[Orders] = []

    def read(self, works: Mapping[str, Sequence[Work]], buses: Collection[str], deadline: float) -> None:
        """Have each bus read its work, after what it still has, and wait for these buses: until all are through, or the
        deadline (monotonic s), or all that are not hang.
        """
        turn = min(TURN_SECONDS, (deadline - self._monotonic()) / 2)
        with self._lock:
            for bus, work in works.items():
                self._queue(self._lanes.setdefault(bus, Lane()), work)
            self._waiting = deque(sorted(self._waiting, key=lambda lane: lane.took))
            self._awaited = {lane for bus in buses if not (lane := self._lanes[bus]).free}
            while not self._bell.empty():  # rung when the tick before had stopped waiting
                self._bell.get()
            expected = sum(lane.took for lane in self._waiting)
        self._wait(deadline, 1 + int(expected / max(turn, GRACE_SECONDS)), min(expected + GRACE_SECONDS, turn))

    def hangs(self, bus: str) -> bool:
        """Whether the read under way there is overdue."""
        now = self._monotonic()
        return self._lanes[bus].hangs_at(now, self._hang_seconds) <= now

    def close(self) -> None:
        """Let the threads end; one that hangs in the kernel ends with the process."""
        for orders in self._threads:
            orders.put(END)

    def _queue(self, lane: Lane[Work], work: Sequence[Work]) -> None:
        lane.left.extend(work)
        if lane.free:
            lane.free = False
            self._waiting.append(lane)

    def _wait(self, deadline: float, threads: int, patience: float) -> None:
        """For those awaited, with so many threads more at work. A bus that still waits after `patience` seconds is behind
        one that keeps its thread, and gets another.
        """
        quietly = suppress(queue.Empty)
        while True:
            called = self._called(threads)
            now = self._monotonic()
            hang = max((lane.hangs_at(now, self._hang_seconds) for lane in tuple(self._awaited)), default=now)
            seconds = min(deadline, hang) - now
            timeout = max(0.0, min(seconds, patience) if self._waiting else seconds)
            for orders in called:
                orders.put(READ)
            # at once after that: who is woken finds Python's lock free, and does not sleep a second time
            with quietly:
                self._bell.get(timeout=timeout)
            if seconds <= 0 or not self._awaited:
                break
            threads, patience = 1, min(patience, GRACE_SECONDS)
        with self._lock:
            self._awaited = set()

    def _called(self, threads: int) -> list[Orders]:
        """Threads for buses that wait: idle ones, then new ones, of which as many as buses are enough."""
        with self._lock:
            wanted = min(threads, len(self._waiting))
            called = [self._idle.pop() for _ in range(min(wanted, len(self._idle)))]
        while len(called) < wanted and len(self._threads) < len(self._lanes):
            orders: Orders = queue.SimpleQueue()
            # a daemon, since one that hangs in the kernel must not keep the process
            threading.Thread(target=self._serve, args=(orders,), name="buses", daemon=True).start()
            self._threads.append(orders)
            called.append(orders)
        return called

    def _serve(self, orders: Orders) -> None:
        """A thread's life: read on one bus after the other until none waits, and sleep until there is more."""
        block_signals()
        while orders.get() is READ:
            lane, last = self._next(None, orders)
            while lane:
                work, lane.began = lane.left[0], self._monotonic()
                try:
                    result = self._read(work)
                except BaseException:  # a fault in a driver must take neither its bus nor this thread with it
                    log.exception("driver broke down")
                    result = self._break_down(work)
                lane.began = None
                self.finished.append(result)
                lane.left.popleft()
                lane, last = self._next(lane, orders)
                if last:
                    self._bell.put(None)

    def _next(self, lane: Lane[Work] | None, orders: Orders) -> tuple[Lane[Work] | None, bool]:
        """Where to read now: on the same bus while there is more, then on the next that waits, or nowhere; and whether
        the bus before was the last one awaited.
        """
        with self._lock:
            if lane is not None and lane.left:
                return lane, False
            now, last = self._monotonic(), False
            following = self._waiting.popleft() if self._waiting else None
            if following is None:
                self._idle.append(orders)
            else:
                following.turned = now
            if lane is not None:
                lane.free, lane.took = True, now - lane.turned
                last = self._awaited == {lane}
                self._awaited.discard(lane)
            return following, last
