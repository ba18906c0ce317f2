"""A thread of the daemon that may not end by itself, and by which the watchdog sees whether it goes on."""

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

log = logging.getLogger(__name__)

POKE: Final = signal.SIGUSR1  # one of the threads has failed
SLACK_SECONDS: Final = 30.0  # a loaded board may be this late without being stuck


class WatchedThread(threading.Thread):
    """Runs `loop`. `expected_by` is when its next sign of life is due (monotonic s), `rests_until` when it comes by
    itself, and in the past while it is awake; `failure` is what ended it.
    """

    def __init__(self, name: str, loop: "Callable[[WatchedThread], None]") -> None:
        super().__init__(name=name, daemon=True)
        self._loop = loop
        self.wake = threading.Event()
        self.expected_by = math.inf
        self.failure: Exception | None = None
        self.rests_until = 0.0

    def run(self) -> None:
        try:
            self._loop(self)
        except Exception as failure:
            log.exception("part failed", extra={"PART": self.name})
            self.failure = failure  # raised again by the main thread
            poke()

    def rest(self, until: float) -> None:
        """Wait until that monotonic time, or until woken; both are life."""
        seconds = until - time.monotonic()
        self.expected_by = until + SLACK_SECONDS
        if seconds > 0:
            self.rests_until = until
            self.wake.wait(None if math.isinf(seconds) else seconds)
            self.rests_until = 0.0  # before it looks: what was there while it seemed to rest is seen
        self.wake.clear()

    def call(self, *, within: float) -> None:
        """Wake it, unless it comes by itself within so many seconds: two that are awake wait for Python's lock."""
        now = time.monotonic()
        if not now < self.rests_until <= now + within:
            self.wake.set()

    def work(self, seconds: float) -> None:
        """Say that the next sign of life may take this long."""
        self.expected_by = time.monotonic() + seconds + SLACK_SECONDS


def progressing(threads: Sequence[WatchedThread], now: float) -> bool:
    """Whether every thread has shown life in time: what the watchdog wants to know."""
    return all(thread.is_alive() and thread.expected_by > now for thread in threads)


def poke() -> None:
    """Wake the main thread."""
    signal.pthread_kill(threading.main_thread().ident or 0, POKE)
