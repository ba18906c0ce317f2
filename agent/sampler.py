"""One tick: read every sensor that is due, each bus by one thread at a time, and stamp what came out.

A failing sensor costs itself its reading and nobody anything else: a bus waits a second at most for others, within a
bus the healthy sensors come first, and a bus that hangs in the kernel is left alone until it returns.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from agent.clock import Clock, Stamp
from agent.config import SensorConfig
from agent.errors import SensorError, Unreadable
from agent.lanes import Lanes
from agent.measurement import TRIES, SpikeFilter, measure
from agent.record import dataclass, field, replace
from agent.sensors import ConvertsTogether, Sensor
from agent.trend import Trend

log = logging.getLogger(__name__)

HANG_SECONDS: Final = 10.0  # no sensor takes that long: all tries of one end within three seconds
TICK_SECONDS: Final = 30.0  # the longest that the daemon waits for one tick; twenty 1-Wire sensors take 16 s


@dataclass(frozen=True, slots=True)
class Probe:
    """A configured sensor and the driver that reads it."""

    config: SensorConfig
    sensor: Sensor


@dataclass(frozen=True, slots=True)
class Taken:
    """What one try to read gave: `celsius` (calibrated) or `error`, and the instant."""

    name: str
    stamp: Stamp
    celsius: float | None = None
    error: SensorError | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How a sensor has been doing. `failures` are in a row, `failed` since start; `celsius` and `last_good` are of the
    last success.
    """

    failures: int = 0
    celsius: float | None = None
    last_good: Stamp | None = None
    error: SensorError | None = None
    failed: int = 0
    trend: Trend = field(default_factory=Trend)

    def after(self, taken: Taken) -> "Health":
        """The health after one more try."""
        if taken.error is not None:
            return replace(self, failures=self.failures + 1, failed=self.failed + 1, error=taken.error)
        trend = self.trend if taken.celsius is None else self.trend.after(taken.celsius, taken.stamp.boot_seconds)
        return Health(celsius=taken.celsius, last_good=taken.stamp, failed=self.failed, trend=trend)


def _tell_who_is_due(probes: Sequence[Probe]) -> None:
    """Let sensors that can convert together know of each other."""
    together = {probe.config.id: probe.sensor for probe in probes if isinstance(probe.sensor, ConvertsTogether)}
    for sensor in together.values():
        sensor.due_with(together.keys())


class Sampler:
    """Reads ticks of the given probes; made once and used by one thread."""

    def __init__(
        self,
        probes: Sequence[Probe],
        clock: Clock,
        *,
        monotonic: Callable[[], float],
        hang_seconds: float = HANG_SECONDS,
        trends: Mapping[str, Trend] | None = None,
    ) -> None:
        names = [probe.config.name for probe in probes]
        self.health = {name: Health(trend=(trends or {}).get(name, Trend())) for name in names}
        self._spikes = {probe.config.name: SpikeFilter(probe.config.max_step_celsius) for probe in probes}
        self._clock, self._monotonic = clock, monotonic
        self._lanes = Lanes(self._take, self._break_down, monotonic=monotonic, hang_seconds=hang_seconds)
        self._under_way: dict[str, str] = {}  # sensors that are being read or wait for it, and their buses
        self._early: frozenset[str] = frozenset()  # those that were prepared for the coming tick

    def prepare(self, probes: Sequence[Probe], at: float, again: float) -> float:
        """Have the probes of the coming tick read from `at` on (monotonic s), while this thread sleeps; `again` is when
        the tick after that is due. Gives the seconds after which `tick` will find all of them read, if all goes well.
        """
        works = self._due(probes)
        self._early = frozenset(probe.config.name for work in works.values() for probe in work)
        return self._lanes.prepare(works, at, again)

    def tick(self, probes: Sequence[Probe], *, patience: float = math.inf) -> list[Taken]:
        """One try for each of the probes, in their order; a bus that does not return in time gives Unreadable.

        After `patience` seconds, a slow bus is left to itself: what it still gives comes with a later tick, before
        that one's own and with its own instant. A sensor that is still being read is not asked again meanwhile.
        """
        deadline = self._monotonic() + patience
        names = [probe.config.name for probe in probes]
        early = self._early.intersection(names)
        arrived = self._arrived()
        taken = {each.name: each for each in arrived if each.name in early}
        late = [each for each in arrived if each.name not in early]
        works = self._due([probe for probe in probes if probe.config.name not in taken])
        self._lanes.read(works, {self._under_way[name] for name in names if name in self._under_way}, deadline)
        for each in self._arrived():
            if each.name in names:
                taken[each.name] = each
            else:
                late.append(each)
        self._early = frozenset()
        for name in names:
            if name not in taken and self._lanes.hangs(bus := self._under_way[name]):
                where = f"{bus} has not returned from a read"
                taken[name] = self._failed(name, Unreadable("hung", where, hint="power-cycle the sensor"))
        ordered = [*late, *(taken[name] for name in names if name in taken)]
        for each in ordered:
            self._note(each)
        return ordered

    def collect(self) -> list[Taken]:
        """What has been read since the last tick, without waiting for more."""
        taken = self._arrived()
        for each in taken:
            self._note(each)
        return taken

    def finish(self, *, patience: float) -> None:
        """Wait for the reads under way, that many seconds at most; what was prepared for later is not begun."""
        self._lanes.forget()
        self._lanes.read({}, set(self._under_way.values()), self._monotonic() + patience)

    def close(self) -> None:
        """Let the threads end; one that hangs in the kernel ends with the process."""
        self._lanes.close()

    def _due(self, probes: Sequence[Probe]) -> dict[str, list[Probe]]:
        """What is to be read on each bus: all but those that are still under way, the healthy ones first."""
        _tell_who_is_due(probes)
        works: dict[str, list[Probe]] = {}
        for probe in sorted(probes, key=lambda probe: self.health[probe.config.name].failures > 0):
            if probe.config.name not in self._under_way:
                bus = self._under_way[probe.config.name] = probe.sensor.bus
                works.setdefault(bus, []).append(probe)
        return works

    def _take(self, probe: Probe) -> Taken:
        """One reading with its instant (the value's, not the beginning of the tries), or what kept it away."""
        name = probe.config.name
        # one that failed last time has no second try: its healthy neighbours on the bus are waiting
        tries = 1 if self.health[name].failures else TRIES
        try:
            celsius = measure(probe.sensor, probe.config, self._spikes[name], monotonic=self._monotonic, tries=tries)
        except SensorError as error:
            return self._failed(name, error)
        return Taken(name, self._clock.stamp(), celsius)

    def _break_down(self, probe: Probe, fault: BaseException) -> Taken:
        """The traceback goes to the journal, once until it reads again or fails otherwise."""
        name, driver = probe.config.name, probe.config.driver
        before, why = self.health[name].error, f"the driver of {driver!r} broke down"
        if before is None or before.reason != "broken":
            log.error("driver broke down", extra={"SENSOR": name, "DRIVER": driver}, exc_info=fault)
        return self._failed(name, Unreadable("broken", why, hint="journalctl -u sensor-agent # and report it"))

    def _failed(self, name: str, error: SensorError) -> Taken:
        return Taken(name, self._clock.stamp(), error=error)

    def _arrived(self) -> list[Taken]:
        """What the buses have given since the last look."""
        arrived = []
        while self._lanes.finished:
            arrived.append(self._lanes.finished.popleft())
            self._under_way.pop(arrived[-1].name, None)
        return arrived

    def _note(self, taken: Taken) -> None:
        """Keep the health, and log the change of a sensor's state once."""
        before = self.health[taken.name]
        after = self.health[taken.name] = before.after(taken)
        if taken.error is not None and (before.error is None or before.error.kind != taken.error.kind):
            log.warning(
                "sensor failing",
                extra={
                    "SENSOR": taken.name,
                    "KIND": taken.error.kind,
                    "REASON": str(taken.error),
                    "HINT": taken.error.hint,
                },
            )
        elif before.error is not None and after.error is None:
            log.info(
                "sensor reads again",
                extra={"SENSOR": taken.name, "FAILURES": before.failures, "CELSIUS": taken.celsius},
            )
