"""A thread for each bus, so that one that hangs in the kernel keeps nobody but those on it waiting."""

import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


def block_signals() -> None:
    """Keep signals to the main thread: one that reaches a 1-Wire read makes it come back empty."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


class Lane(threading.Thread, Generic[Work, Result]):
    """The one thread that touches a bus. Idle, it waits on its queue and costs nothing.

    A result is in `finished` as soon as it is there; `bell` gets this lane when a piece of work is done, so that whoever
    waits for a tick wakes once a bus and not once a sensor.
    """

    def __init__(
        self,
        bus: str,
        read: Callable[[Work], Result],
        break_down: Callable[[Work], Result],
        bell: "queue.SimpleQueue[Lane[Work, Result]]",
        monotonic: Callable[[], float],
    ) -> None:
        super().__init__(name=f"bus {bus}", daemon=True)  # one that hangs in the kernel must not keep the process
        self.work: queue.SimpleQueue[Sequence[Work] | None] = queue.SimpleQueue()
        self.finished: deque[Result] = deque()
        self.broken = False
        self._read, self._break_down, self._bell, self._monotonic = read, break_down, bell, monotonic
        self._began: float | None = None

    def run(self) -> None:
        block_signals()
        left: deque[Work] = deque()
        ended = False
        try:
            while (work := self.work.get()) is not None:
                left.extend(work)
                while left:
                    self._began = self._monotonic()
                    taken = self._read(left[0])
                    self._began = None
                    left.popleft()
                    self.finished.append(taken)
                self._bell.put(self)
            ended = True
        finally:
            # anything but a SensorError is a fault in a driver: its traceback goes to the journal, this thread ends,
            # and whoever was to be read by it is told
            self.broken = not ended
            while self.broken and not self.work.empty():
                left.extend(self.work.get() or ())
            self.finished.extend(map(self._break_down, left))
            self._bell.put(self)

    def hangs_at(self, now: float, hang_seconds: float) -> float:
        """When the read under way is overdue."""
        began = self._began
        return (now if began is None else began) + hang_seconds
