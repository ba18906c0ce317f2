"""A thread for each bus, so that one that hangs in the kernel keeps nobody but those on it waiting."""

import queue
import signal
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


def block_signals() -> None:
    """Keep signals to the main thread: one that reaches a 1-Wire read makes it come back empty."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


class Lane(threading.Thread, Generic[Work, Result]):
    """The one thread that touches a bus. Idle, it waits on its queue and costs nothing."""

    def __init__(
        self,
        bus: str,
        read: Callable[[Work], Result],
        break_down: Callable[[Work], Result],
        results: "queue.SimpleQueue[Result]",
        monotonic: Callable[[], float],
    ) -> None:
        super().__init__(name=f"bus {bus}", daemon=True)  # one that hangs in the kernel must not keep the process
        self.work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self.broken = False
        self._read, self._break_down, self._results, self._monotonic = read, break_down, results, monotonic
        self._began: float | None = None

    def run(self) -> None:
        block_signals()
        work: Work | None = None
        try:
            while (work := self.work.get()) is not None:
                self._began = self._monotonic()
                taken = self._read(work)
                self._began = None
                self._results.put(taken)
        finally:
            # anything but a SensorError is a fault in a driver: its traceback goes to the journal, this thread ends,
            # and whoever was to be read by it is told
            self.broken = work is not None
            while work is not None:
                self._results.put(self._break_down(work))
                work = None if self.work.empty() else self.work.get()

    def hangs_at(self, now: float, hang_seconds: float) -> float:
        """When the read under way is overdue."""
        began = self._began
        return (now if began is None else began) + hang_seconds
