"""The daemon: sampler and uplink in a thread each; the main thread owns signals, notifications and the watchdog.

Signals are blocked everywhere and waited for in one place, so none of them ever interrupts a read of a sensor.
"""

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from agent.delivery import LineState
from agent.flush import Flush, Plan
from agent.notify import Notifier
from agent.record import dataclass
from agent.sampler import TICK_SECONDS
from agent.spool import Limits, Spool
from agent.ticks import Ticks

log = logging.getLogger(__name__)

POKE: Final = signal.SIGUSR1  # one of the threads has failed
SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, POKE})
SLACK_SECONDS: Final = 30.0  # a loaded board may be this late without being stuck
STOP_SECONDS: Final = 0.4  # for a POST in flight to end by itself; then its connection is cut


@dataclass(frozen=True, slots=True)
class Parts:
    """What one configuration amounts to; a reload makes new ones. `request_seconds` bounds a POST."""

    ticks: Ticks
    plan: Plan
    limits: Limits
    request_seconds: float
    describe: Callable[[Ticks, bool], dict[str, Any]]


class Part(threading.Thread):
    """A thread that may not end by itself. `expected_by` is when its next sign of life is due (monotonic s)."""

    def __init__(self, name: str, loop: "Callable[[Part], None]") -> None:
        super().__init__(name=name, daemon=True)
        self._loop = loop
        self.wake = threading.Event()
        self.expected_by = math.inf
        self.failure: Exception | None = None

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
            self.wake.wait(None if math.isinf(seconds) else seconds)
        self.wake.clear()

    def work(self, seconds: float) -> None:
        """Say that the next sign of life may take this long."""
        self.expected_by = time.monotonic() + seconds + SLACK_SECONDS


def progressing(parts: Sequence[Part], now: float) -> bool:
    """Whether every thread has shown life in time: what the watchdog wants to know."""
    return all(part.is_alive() and part.expected_by > now for part in parts)


def poke() -> None:
    """Wake the main thread."""
    signal.pthread_kill(threading.main_thread().ident or 0, POKE)


def block_signals() -> None:
    """Keep them for `Service.run`; call before any thread is made, since threads inherit it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


class Service:
    """Runs until SIGTERM or SIGINT. `reload` is called at SIGHUP, and gives None to keep the old parts; `stop` is
    set on the way out, for whatever else waits on it.
    """

    def __init__(
        self,
        parts: Parts,
        spool: Spool,
        flush: Flush,
        *,
        notifier: Notifier,
        watchdog_seconds: float | None,
        write_status: Callable[[dict[str, Any]], None],
        reload: Callable[[Parts], Parts | None],
        stop: threading.Event,
    ) -> None:
        self._parts, self._spool, self._flush = parts, spool, flush
        self._notifier = notifier
        self._watchdog_seconds = watchdog_seconds
        self._write_status = write_status
        self._reload = reload
        self._stop = stop
        self._status_lock = threading.Lock()
        self._sampler = Part("sampler", self._sample)
        self._uplink = Part("uplink", self._deliver)

    def run(self) -> None:
        """Sample and deliver. Raises what ended a thread, if one did."""
        block_signals()
        parts = (self._sampler, self._uplink)
        for part in parts:
            part.start()
        self._notifier.ready()
        log.info("started", extra={"SENSORS": len(self._parts.ticks.probes), "PENDING": self._spool.counts().pending})
        try:
            while (signo := self._wait()) not in {signal.SIGTERM, signal.SIGINT}:
                if signo == signal.SIGHUP:
                    self._take_new_parts()
                if self._watchdog_seconds and progressing(parts, time.monotonic()):
                    self._notifier.alive()
                for part in parts:
                    if part.failure is not None:
                        raise part.failure
        finally:
            self._end()

    def deliver_soon(self) -> None:
        """There is something new to send. For any thread."""
        self._uplink.wake.set()

    def _wait(self) -> int | None:
        """The next signal, or None when it is time to pet the watchdog."""
        if self._watchdog_seconds is None:
            return signal.sigwaitinfo(SIGNALS).si_signo
        info = signal.sigtimedwait(SIGNALS, self._watchdog_seconds / 3)
        return info.si_signo if info else None

    def _sample(self, part: Part) -> None:
        while not self._stop.is_set():
            parts = self._parts
            if parts.ticks.next_due > time.monotonic():
                part.rest(parts.ticks.next_due)
                continue
            part.work(TICK_SECONDS)
            stamped = parts.ticks.stamped
            parts.ticks.tick()
            if parts.ticks.stamped and not stamped:
                self._flush.try_now()  # by a wrong clock the shield's certificate is not valid
            self._say()
            self._uplink.wake.set()

    def _deliver(self, part: Part) -> None:
        told = (LineState.IDLE, 0)
        while not self._stop.is_set():
            part.work(self._parts.request_seconds)
            again = self._flush.step()
            now = (self._flush.line.state, self._flush.delivered.acknowledged)
            if now[0] is not told[0] or (math.isinf(again) and now != told):  # another line, or a spool drained
                told = now
                self._say()
            part.rest(again)

    def _say(self, *, running: bool = True) -> None:
        """Write the status file, and tell systemd when the one-line summary has changed."""
        with self._status_lock:
            status = self._parts.describe(self._parts.ticks, running)
            self._write_status(status)
            failing = sum(sensor["error"] is not None for sensor in status["sensors"])
            # from this thread, which is awake: the main one would wake twice a tick for it
            self._notifier.status(
                f"{status['state']}: {len(status['sensors'])} sensors, {failing} failing;"
                f" {status['uplink']['state']}, {status['spool']['pending']} pending"
            )

    def _take_new_parts(self) -> None:
        self._notifier.reloading()
        new = self._reload(self._parts)
        if new is not None:
            old, self._parts = self._parts, new
            self._spool.limits = new.limits
            self._flush.replan(new.plan)
            old.ticks.sampler.close()
            for part in (self._sampler, self._uplink):
                part.wake.set()
        self._notifier.ready()

    def _end(self) -> None:
        """Within a second, whatever the threads are doing: what was committed is safe, the rest is committed now."""
        self._notifier.stopping()
        self._stop.set()
        for part in (self._sampler, self._uplink):
            part.wake.set()
        self._uplink.join(STOP_SECONDS if self._flush.stop() else 0.0)
        if self._uplink.is_alive():
            self._flush.abort()
            self._uplink.join(STOP_SECONDS / 2)
        self._sampler.join(STOP_SECONDS / 2)  # a conversion takes 0.75 s and is not waited for
        self._say(running=False)
        self._spool.close()
        log.info("stopped", extra={"PID": os.getpid()})
