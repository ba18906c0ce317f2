"""A thread that reads: asleep until it is called, or until the time comes by itself."""

import queue
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from agent.lanes.lane import Work

if TYPE_CHECKING:
    from agent.lanes.lanes import Lanes

FOREVER: Final = float("inf")
READ, END = True, False  # what a reader is told
Result = TypeVar("Result")


def block_all_signals() -> None:
    """Keep signals to the main thread: one that reaches a 1-Wire read makes it come back empty."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


class Reader(threading.Thread, Generic[Work, Result]):
    """Reads on one bus after the other until none waits. `until` is when it comes uncalled (monotonic s)."""

    def __init__(self, lanes: "Lanes[Work, Result]") -> None:
        super().__init__(name="buses", daemon=True)  # one that hangs in the kernel must not keep the process
        self.until = FOREVER
        self.orders: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._lanes = lanes

    def run(self) -> None:
        block_all_signals()
        lanes = self._lanes
        while self._sleep() is READ:
            lane = None
            while lane := lanes.after(lane, self):
                work, lane.began = lane.left[0], lanes.monotonic()
                result = lanes.take(work)
                lane.began = None
                lanes.finished.append(result)
                lane.left.popleft()

    def _sleep(self) -> bool:
        while True:
            until = self.until
            timeout = None if until == FOREVER else max(until - self._lanes.monotonic(), 0.0)
            with suppress(queue.Empty):
                return self.orders.get(timeout=timeout)
            if self._lanes.due(self):
                return READ
