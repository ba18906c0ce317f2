"""The daemon: sampler and uplink in a thread each; the main thread owns signals, notifications and the watchdog.

Buses are read in threads of their own (`lanes`). Signals are blocked everywhere and waited for in one place, so none of
them ever interrupts a read of a sensor.
"""

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from agent.delivery import LineState
from agent.flush import Flush, Plan
from agent.notify import Notifier
from agent.part import POKE, Part, progressing
from agent.record import dataclass
from agent.sampler import TICK_SECONDS
from agent.spool import Limits, Spool
from agent.ticks import HAND_SECONDS, Ticks

log = logging.getLogger(__name__)

SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, POKE})
STOP_SECONDS: Final = 0.4  # for a POST in flight to end by itself; then its connection is cut


@dataclass(frozen=True, slots=True)
class Parts:
    """What one configuration amounts to; a reload makes new ones. `request_seconds` bounds a POST."""

    ticks: Ticks
    plan: Plan
    limits: Limits
    request_seconds: float
    describe: Callable[[Ticks, bool], dict[str, Any]]


def looked_at_after(watchdog_seconds: float, *, well: bool) -> float:
    """Seconds until the threads are looked at again: half the watchdog's time, as sd_watchdog_enabled(3) has it, and
    sooner while one is late, so that its recovery is seen before the watchdog bites.
    """
    return watchdog_seconds / (2 if well else 6)


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
        well = True
        for part in parts:
            part.start()
        self._notifier.ready()
        log.info("started", extra={"SENSORS": len(self._parts.ticks.probes), "PENDING": self._spool.counts().pending})
        try:
            while (signo := self._wait(well=well)) not in {signal.SIGTERM, signal.SIGINT}:
                if signo == signal.SIGHUP:
                    self._take_new_parts()
                if self._watchdog_seconds and (well := progressing(parts, time.monotonic())):
                    self._notifier.alive()
                for part in parts:
                    if part.failure is not None:
                        raise part.failure
        finally:
            self._end()

    def deliver_soon(self) -> None:
        """There is something new to send. For any thread."""
        self._uplink.wake.set()

    def _wait(self, *, well: bool) -> int | None:
        """The next signal, or None when it is time to look at the threads for the watchdog."""
        if self._watchdog_seconds is None:
            return signal.sigwaitinfo(SIGNALS).si_signo
        info = signal.sigtimedwait(SIGNALS, looked_at_after(self._watchdog_seconds, well=well))
        return info.si_signo if info else None

    def _sample(self, part: Part) -> None:
        parts = self._parts
        while not self._stop.is_set():
            if parts is not self._parts:
                parts.ticks.finish()  # no bus is read twice at once
                parts = self._parts
            if parts.ticks.next_look > time.monotonic():
                part.rest(parts.ticks.next_look)
                continue
            part.work(TICK_SECONDS)
            stamped = parts.ticks.stamped
            parts.ticks.tick()
            if parts.ticks.stamped and not stamped:
                self._flush.try_now()  # by a wrong clock the shield's certificate is not valid
            self._say()
            parts.ticks.prepare()
            self._uplink.call(within=HAND_SECONDS)
        parts.ticks.collect()

    def _deliver(self, part: Part) -> None:
        told = (LineState.IDLE, 0)
        while not self._stop.is_set():
            part.work(self._parts.request_seconds)
            again = self._flush.step()
            now = (self._flush.line.state, self._flush.delivered.acknowledged)
            if now[0] is not told[0] or (math.isinf(again) and now != told):  # another line, or a spool drained
                told = now
                self._say()
            if math.isinf(again) and self._parts.ticks.next_news > time.monotonic():
                again = self._parts.ticks.next_news
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
            self._parts = new
            self._spool.limits = new.limits
            self._flush.replan(new.plan)
            for part in (self._sampler, self._uplink):
                part.wake.set()
        self._notifier.ready()

    def _end(self) -> None:
        """Within a second, whatever the threads are doing: what was committed is safe, the rest is committed now."""
        self._notifier.stopping()
        self._stop.set()
        self._parts.ticks.sampler.close()  # a tick that waits for a slow bus is spooled as far as it is read
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
