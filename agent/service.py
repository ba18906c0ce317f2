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
from agent.record import dataclass
from agent.sampler import TICK_SECONDS
from agent.spool import Limits, Spool
from agent.ticks import COMMIT_SECONDS, Ticks
from agent.watched_thread import POKE, WatchedThread, progressing

log = logging.getLogger(__name__)

SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, POKE})
STOP_SECONDS: Final = 0.4  # for a POST in flight to end by itself; then its connection is cut


@dataclass(frozen=True, slots=True)
class Assembly:
    """What one configuration amounts to; a reload makes another. `request_seconds` bounds a POST; `describe` gives the
    status, told whether the daemon goes on running.
    """

    ticks: Ticks
    plan: Plan
    limits: Limits
    request_seconds: float
    describe: Callable[[bool], dict[str, Any]]


def looked_at_after(watchdog_seconds: float, *, well: bool) -> float:
    """Seconds until the threads are looked at again: half the watchdog's time, as sd_watchdog_enabled(3) has it, and
    sooner while one is late, so that its recovery is seen before the watchdog bites.
    """
    return watchdog_seconds / (2 if well else 6)


def block_awaited_signals() -> None:
    """Keep them for `Service.run`; call before any thread is made, since threads inherit it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


class Service:
    """Runs until SIGTERM or SIGINT. `reload` is called at SIGHUP, and gives None to keep the old assembly; `stop` is
    set on the way out, for whatever else waits on it.
    """

    def __init__(
        self,
        assembly: Assembly,
        spool: Spool,
        flush: Flush,
        *,
        notifier: Notifier,
        watchdog_seconds: float | None,
        write_status: Callable[[dict[str, Any]], None],
        reload: Callable[[], Assembly | None],
        stop: threading.Event,
    ) -> None:
        self._assembly, self._spool, self._flush = assembly, spool, flush
        self._notifier = notifier
        self._watchdog_seconds = watchdog_seconds
        self._write_status = write_status
        self._reload = reload
        self._stop = stop
        self._status_lock = threading.Lock()  # over the assembly's `describe`, too, which remembers
        self._sampler = WatchedThread("sampler", self._sample)
        self._uplink = WatchedThread("uplink", self._deliver)

    def run(self) -> None:
        """Sample and deliver. Raises what ended a thread, if one did."""
        block_awaited_signals()
        threads = (self._sampler, self._uplink)
        well = True
        for thread in threads:
            thread.start()
        self._notifier.ready()
        log.info(
            "started", extra={"SENSORS": len(self._assembly.ticks.probes), "PENDING": self._spool.counts().pending}
        )
        if not self._assembly.ticks.probes:
            self._say()  # no tick will
        try:
            while (signo := self._wait(well=well)) not in {signal.SIGTERM, signal.SIGINT}:
                if signo == signal.SIGHUP:
                    self._take_new_assembly()
                if self._watchdog_seconds and (well := progressing(threads, time.monotonic())):
                    self._notifier.alive()
                for thread in threads:
                    if thread.failure is not None:
                        raise thread.failure
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

    def _sample(self, thread: WatchedThread) -> None:
        ticks = self._assembly.ticks
        while not self._stop.is_set():
            if ticks is not self._assembly.ticks:
                ticks.finish()  # no bus is read twice at once
                ticks = self._assembly.ticks
            if ticks.next_look > time.monotonic():
                thread.rest(ticks.next_look)
                continue
            thread.work(TICK_SECONDS)
            stamped = ticks.stamped
            ticks.tick()
            if ticks.stamped and not stamped:
                self._flush.try_now()  # by a wrong clock the shield's certificate is not valid
            self._say()
            ticks.prepare()
            self._uplink.call(within=COMMIT_SECONDS)
        ticks.collect()

    def _deliver(self, thread: WatchedThread) -> None:
        told = (LineState.IDLE, 0)
        while not self._stop.is_set():
            thread.work(self._assembly.request_seconds)
            again = self._flush.step()
            now = (self._flush.line.state, self._flush.delivered.acknowledged)
            if now[0] is not told[0] or (math.isinf(again) and now != told):  # another line, or a spool drained
                told = now
                self._say()
            if math.isinf(again) and self._assembly.ticks.next_news > time.monotonic():
                again = self._assembly.ticks.next_news
            thread.rest(again)

    def _say(self, *, running: bool = True) -> None:
        """Write the status file, and tell systemd when the one-line summary has changed."""
        with self._status_lock:
            status = self._assembly.describe(running)
            self._write_status(status)
            failing = sum(sensor["error"] is not None for sensor in status["sensors"])
            # from this thread, which is awake: the main one would wake twice a tick for it
            self._notifier.status(
                f"{status['state']}: {len(status['sensors'])} sensors, {failing} failing;"
                f" {status['uplink']['state']}, {status['spool']['pending']} pending"
            )

    def _take_new_assembly(self) -> None:
        self._notifier.reloading()
        new = self._reload()
        if new is not None:
            self._assembly = new
            self._spool.limits = new.limits
            self._flush.replan(new.plan)
            for thread in (self._sampler, self._uplink):
                thread.wake.set()
        if new is None or not new.ticks.probes:
            self._say()  # no tick will, or not of this
        self._notifier.ready()

    def _end(self) -> None:
        """Within a second, whatever the threads are doing: what was committed is safe, the rest is committed now."""
        self._notifier.stopping()
        self._stop.set()
        self._assembly.ticks.sampler.close()  # a tick that waits for a slow bus is spooled as far as it is read
        for thread in (self._sampler, self._uplink):
            thread.wake.set()
        self._uplink.join(STOP_SECONDS if self._flush.stop() else 0.0)
        if self._uplink.is_alive():
            self._flush.abort()
            self._uplink.join(STOP_SECONDS / 2)
        self._sampler.join(STOP_SECONDS / 2)  # a conversion takes 0.75 s and is not waited for
        self._say(running=False)
        self._spool.close()
        log.info("stopped", extra={"PID": os.getpid()})
