"""What a sensor's own grid and its report on change do to the spool: real sampler, real spool, a clock that is told."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent import BUILD_EPOCH
from agent.clock import Clock
from agent.config import SensorConfig
from agent.sampler import Probe, Sampler
from agent.spool import Spool
from agent.ticks import Ticks


class Thermometer:
    """Gives what it holds."""

    bus = "test"
    rated_celsius = (-55.0, 125.0)
    celsius = 20.0

    def read(self) -> float:
        return self.celsius


class World:
    """Ticks of sensors with these configurations; `now` is seconds since the start."""

    def __init__(self, spool: Spool, *configs: SensorConfig) -> None:
        self.now = 0.0
        self.sensor = Thermometer()
        clock = Clock(trust_any=True, wall=lambda: BUILD_EPOCH + self.now, since_boot=self, boot_id="test")
        self.spool, probes = spool, [Probe(config, self.sensor) for config in configs]
        self.sampler = Sampler(probes, clock, monotonic=self)
        self.ticks = Ticks(probes, self.sampler, spool, clock, monotonic=self)

    def __call__(self) -> float:
        return self.now

    def tick(self, celsius: float = 20.0) -> list[str]:
        """The next tick of the grid, at that temperature; gives whose it was."""
        self.now = max(self.now, self.ticks.next_due)
        self.sensor.celsius = celsius
        return [taken.name for taken in self.ticks.tick()]

    def stored(self) -> list[float]:
        """What was put into the spool."""
        return [spooled.reading.celsius for spooled in self.spool.head(1000)]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes the world of one test."""
    made: list[World] = []
    with closing(Spool(tmp_path / "spool.db")) as spool:

        def build(*configs: SensorConfig) -> World:
            made.append(World(spool, *configs))
            return made[-1]

        yield build
        for world in made:
            world.sampler.close()


def test_phase_moves_the_grid_and_not_the_first_reading(make: Callable[..., World]) -> None:
    world = make(
        SensorConfig(name="a", driver="simulated", interval_seconds=60.0),
        SensorConfig(name="b", driver="simulated", interval_seconds=60.0, phase_seconds=20.0),
    )
    seen = []
    for _ in range(5):
        names = world.tick()
        seen.append((world.now, *names))
    assert seen == [(0.0, "a", "b"), (20.0, "b"), (60.0, "a"), (80.0, "b"), (120.0, "a")]


def test_value_within_the_deadband_of_the_last_one_sent_is_not_spooled(make: Callable[..., World]) -> None:
    world = make(SensorConfig(name="a", driver="simulated", interval_seconds=60.0, deadband_celsius=0.5))
    for celsius in (20.0, 20.4, 19.6, 20.5, 20.4, 20.0):
        world.tick(celsius)
    assert world.stored() == [20.0, 20.5, 20.0]


def test_slow_drift_is_not_lost_in_the_deadband(make: Callable[..., World]) -> None:
    world = make(SensorConfig(name="a", driver="simulated", interval_seconds=60.0, deadband_celsius=0.5))
    for step in range(9):
        world.tick(20.0 + step / 8)
    assert world.stored() == [20.0, 20.5, 21.0]


def test_unchanged_value_is_spooled_after_the_longest_silence(make: Callable[..., World]) -> None:
    config = SensorConfig(
        name="a", driver="simulated", interval_seconds=60.0, deadband_celsius=0.5, max_silence_seconds=600.0
    )
    world = make(config)
    for _ in range(31):
        world.tick()
    assert world.now == 1800.0
    assert len(world.stored()) == 4


def test_status_knows_the_values_that_are_not_sent(make: Callable[..., World]) -> None:
    world = make(SensorConfig(name="a", driver="simulated", deadband_celsius=5.0))
    world.tick(20.0)
    world.tick(21.0)
    assert world.sampler.health["a"].celsius == 21.0
