"""The sampler's tick: wait for the grid, read what is due, stamp it, spool it before anything else can go wrong."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from agent.clock import Clock
from agent.errors import SpoolError
from agent.ledger import Gap, Watch
from agent.measurement import RETRY_SECONDS
from agent.quality import Reported, worth_reporting
from agent.reading import Reading, milli, stamped_after
from agent.sampler import TICK_SECONDS, Probe, Sampler, Taken
from agent.schedule import due_now, next_due
from agent.spool import Spool

log = logging.getLogger(__name__)

FOREVER: Final = float("inf")
COMMIT_SECONDS: Final = 0.3  # from a tick's last read until it is on flash, on an SD card too
COMMIT_SHARE: Final = 1 / 20  # of the time between two ticks: no more than this is allowed for it


class Ticks:
    """Takes the ticks of one configuration; for one thread. The first tick is due at once, of every sensor.

    `next_news` is when a prepared tick will be on flash, if all goes well (monotonic s); in the past, nobody knows.
    """

    def __init__(
        self,
        probes: Sequence[Probe],
        sampler: Sampler,
        spool: Spool,
        clock: Clock,
        *,
        monotonic: Callable[[], float],
    ) -> None:
        self.sampler = sampler
        self.probes = tuple(probes)
        self._spool, self._clock, self._monotonic = spool, clock, monotonic
        self._started = monotonic()
        self._dues = [self._started] * len(self.probes)
        self._read_by = self.next_news = self._started
        self._configs = {probe.config.name: probe.config for probe in probes}
        self._reported: dict[str, Reported] = {}
        self._latest: dict[str, int] = {}
        self._trusted = self._went_back = False
        self._blocked = ""
        self._watch = Watch(spool.last_seconds, same_boot=spool.begin(clock.boot_id) == clock.boot_id)

    @property
    def next_due(self) -> float:
        """When the next tick is due, in monotonic seconds; inf without sensors."""
        return min(self._dues, default=FOREVER)

    @property
    def next_look(self) -> float:
        """When to call `tick` next: when what was prepared has been read, else when the next tick is due."""
        return max(self.next_due, self._read_by)

    @property
    def stamped(self) -> bool:
        """Whether the latest tick got its time of day, and is not held."""
        return self._trusted

    def tick(self, *, patience: float | None = None) -> list[Taken]:
        """Read the sensors that are due and spool what came out; gives every try in the order of the configuration.

        Waits for `patience` seconds, by default until the next sensor is due: a bus that is slow or hangs delays
        nobody, and what it still gives comes with a later tick.
        """
        now = self._monotonic()
        due = due_now(now, self._dues)
        for place in due:
            self._dues[place] = self._after(place, now)
        if patience is None:
            patience = min(self.next_due - now, TICK_SECONDS)
        taken = self.sampler.tick([self.probes[place] for place in due], patience=patience)
        self._spool_all(taken)
        return taken

    def prepare(self) -> None:
        """Have the sensors of the next tick read when it is due, while whoever calls `tick` sleeps until `next_look`."""
        at = self.next_due
        if not self._monotonic() < at < FOREVER:
            return
        due = due_now(at, self._dues)
        again = min(self._after(place, at) if place in due else other for place, other in enumerate(self._dues))
        seconds = self.sampler.prepare([self.probes[place] for place in due], at, again)
        self._read_by = at + min(seconds, (again - at) / 2)
        self.next_news = self._read_by + min(COMMIT_SECONDS, (again - at) * COMMIT_SHARE)

    def collect(self) -> None:
        """Spool what has been read since the last tick: there is to be no other one."""
        if taken := self.sampler.collect():
            self._spool_all(taken)

    def finish(self) -> None:
        """Spool what is being read, too, and let the threads end; what was prepared and has not begun is not read."""
        self.sampler.finish(patience=RETRY_SECONDS)
        self.collect()
        self.sampler.close()

    def _after(self, place: int, now: float) -> float:
        """When that sensor is due next: on the grid that passes through its phase, from a point before the start on."""
        config = self.probes[place].config
        began = self._started + config.phase_seconds - config.interval_seconds
        return next_due(now, started=began, every=config.interval_seconds)

    def _spool_all(self, taken: Sequence[Taken]) -> None:
        """One commit for the tick; while the clock cannot be trusted, the readings are held by seconds since boot."""
        now = self._clock.stamp()
        offset = now.utc - now.boot_seconds
        if now.trusted and not self._trusted:
            self._release(offset)
        elif self._trusted and not now.trusted:
            self._trusted = False  # set back to before the build epoch: held like at the start
            self._latest.clear()
        trusted = now.trusted and self._trusted
        # by the instant, not by the configuration: a slow bus comes later, and delivery is oldest first
        readings = [
            self._reading(each, each.stamp.boot_seconds + (offset if trusted else 0.0))
            for each in sorted(taken, key=lambda each: each.stamp.boot_seconds)
            if each.celsius is not None and self._says_something_new(each.name, each.celsius, each.stamp.boot_seconds)
        ]
        boot_id = "" if trusted else self._clock.boot_id
        self._spool.append(
            readings,
            boot_id=boot_id,
            now=self._monotonic(),
            utc=now.utc if trusted else None,
            missed=self._missed(taken, now.boot_seconds, offset if trusted else None),
        )

    def _missed(self, taken: Sequence[Taken], now: float, offset: float | None) -> list[Gap]:
        """For the ledger: what failed since it was last told, and the silence before the start; later, without a clock."""
        self._watch = self._watch.after([(each.name, each.error.kind) for each in taken if each.error], now)
        if offset is None:
            return []
        intervals = {
            name: max(config.interval_seconds, config.max_silence_seconds if config.deadband_celsius else 0.0)
            for name, config in self._configs.items()
        }
        self._watch, gaps = self._watch.told(offset, intervals)
        return gaps

    def _says_something_new(self, name: str, celsius: float, seconds: float) -> bool:
        """Whether the value is to be reported; if so, the next ones are compared with it."""
        config = self._configs[name]
        new = worth_reporting(
            celsius,
            seconds,
            self._reported.get(name),
            deadband=config.deadband_celsius,
            silence=config.max_silence_seconds,
            every=config.interval_seconds,
        )
        if new:
            self._reported[name] = Reported(celsius, seconds)
        return new

    def _reading(self, taken: Taken, seconds: float) -> Reading:
        """Stamped with a second of its own: strictly increasing per sensor, whatever the clock was set to."""
        floor = self._latest.get(taken.name, self._spool.last_seconds if self._trusted else 0)
        second = self._latest[taken.name] = stamped_after(int(seconds), floor)
        if (back := second < floor) and not self._went_back:
            lead = floor - second
            log.warning("clock was far ahead before: stamps go on by what it says now", extra={"SECONDS_AHEAD": lead})
        self._went_back = back
        return Reading(taken.name, milli(taken.celsius or 0.0), second)

    def _release(self, offset: float) -> None:
        """Give the readings held until now their time; those of earlier boots can never get one and are set aside."""
        try:
            released = self._spool.release(self._clock.boot_id, offset_seconds=offset)
            forgotten = self._spool.forget_boots(self._clock.boot_id)
        except SpoolError as error:
            if str(error) != self._blocked:
                log.warning("held readings cannot be stamped yet", extra={"REASON": str(error)})
            self._blocked = str(error)
            return
        self._trusted, self._blocked = True, ""
        self._latest.clear()
        if released or forgotten:
            log.info("held readings stamped", extra={"RELEASED": released, "FORGOTTEN": forgotten})
