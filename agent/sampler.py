"""One tick: read every sensor that is due, each bus in a thread of its own, and stamp what came out.

A failing sensor costs itself its reading and nobody anything else: buses do not wait for each other, within a
bus the healthy sensors come first, and a bus that hangs in the kernel is left alone until it returns.
"""

import logging
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from agent.clock import Clock, Stamp
from agent.config import SensorConfig
from agent.errors import SensorError, Unreadable
from agent.reading import milli
from agent.sensors import Sensor
from agent.sensors.gate import gate

log = logging.getLogger(__name__)

TRIES: Final = 3
RETRY_SECONDS: Final = 3.0  # no try begins later than this after the first
TICK_SECONDS: Final = 10.0  # a bus of twelve 1-Wire sensors takes 0.8 s for each; longer than that is a hang


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
    """How a sensor has been doing. `failures` are in a row; `celsius` and `last_good` are of the last success."""

    failures: int = 0
    celsius: float | None = None
    last_good: Stamp | None = None
    error: SensorError | None = None

    def after(self, taken: Taken) -> "Health":
        """The health after one more try."""
        if taken.error is not None:
            return replace(self, failures=self.failures + 1, error=taken.error)
        return Health(celsius=taken.celsius, last_good=taken.stamp)


def measure(probe: Probe, *, monotonic: Callable[[], float]) -> float:
    """Degrees Celsius, gated and calibrated, thousandths exact; transient faults are tried again at once.

    The range is judged before the offset: it is the chip's, not the room's. Raises SensorError.
    """
    started = monotonic()
    for attempt in range(TRIES):
        try:
            config = probe.config
            raw = gate(
                probe.sensor.read(),
                rated=probe.sensor.rated_celsius,
                low=config.min_celsius,
                high=config.max_celsius,
            )
            return milli(raw + config.offset_celsius) / 1000
        except SensorError as error:
            if not error.transient or attempt + 1 == TRIES or monotonic() - started > RETRY_SECONDS:
                raise
    raise AssertionError("unreachable")


def take(probe: Probe, clock: Clock, *, monotonic: Callable[[], float]) -> Taken:
    """One reading with its instant (the value's, not the beginning of the tries), or what kept it away."""
    try:
        celsius = measure(probe, monotonic=monotonic)
    except SensorError as error:
        return Taken(probe.config.name, clock.stamp(), error=error)
    return Taken(probe.config.name, clock.stamp(), celsius)


class _Lane(threading.Thread):
    """The one thread that touches a bus. Idle, it waits on its queue and costs nothing."""

    def __init__(self, bus: str, read: Callable[[Probe], Taken]) -> None:
        super().__init__(name=f"bus {bus}", daemon=True)
        self._read = read
        self.work: queue.SimpleQueue[tuple[list[Probe], queue.SimpleQueue[Taken]] | None] = queue.SimpleQueue()
        self.busy = False

    def run(self) -> None:
        block_signals()
        while (job := self.work.get()) is not None:
            probes, results = job
            for probe in probes:
                results.put(self._read(probe))
            self.busy = False


def block_signals() -> None:
    """Keep signals to the main thread: one that reaches a 1-Wire read makes it come back empty."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


class Sampler:
    """Reads ticks of the given probes; made once and used by one thread."""

    def __init__(
        self,
        probes: Sequence[Probe],
        clock: Clock,
        *,
        monotonic: Callable[[], float],
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self.health = {probe.config.name: Health() for probe in probes}
        self._clock = clock
        self._monotonic = monotonic
        self._tick_seconds = tick_seconds
        self._lanes: dict[str, _Lane] = {}

    def tick(self, probes: Sequence[Probe]) -> list[Taken]:
        """One try for each of the probes, in their order; a bus that does not return in time gives Unreadable."""
        buses: dict[str, list[Probe]] = {}
        for probe in sorted(probes, key=lambda probe: self.health[probe.config.name].failures > 0):
            buses.setdefault(probe.sensor.bus, []).append(probe)
        results: queue.SimpleQueue[Taken] = queue.SimpleQueue()
        expected = sum(len(group) for bus, group in buses.items() if self._start(bus, group, results))
        taken: dict[str, Taken] = {}
        deadline = self._monotonic() + self._tick_seconds
        while len(taken) < expected:
            try:
                got = results.get(timeout=max(deadline - self._monotonic(), 0.0))
            except queue.Empty:
                break
            taken[got.name] = got
        late = [probe for probe in probes if probe.config.name not in taken]
        for probe in late:
            hung = Unreadable("hung", f"{probe.sensor.bus} has not returned from a read", hint="power-cycle the sensor")
            taken[probe.config.name] = Taken(probe.config.name, self._clock.stamp(), error=hung)
        ordered = [taken[probe.config.name] for probe in probes]
        for each in ordered:
            self._note(each)
        return ordered

    def close(self) -> None:
        """Let the threads end; one that hangs in the kernel ends with the process."""
        for lane in self._lanes.values():
            lane.work.put(None)

    def _start(self, bus: str, probes: list[Probe], results: "queue.SimpleQueue[Taken]") -> bool:
        lane = self._lanes.get(bus)
        if lane is None:
            lane = self._lanes[bus] = _Lane(bus, lambda probe: take(probe, self._clock, monotonic=self._monotonic))
            lane.start()
        if lane.busy:
            return False
        lane.busy = True
        lane.work.put((probes, results))
        return True

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
