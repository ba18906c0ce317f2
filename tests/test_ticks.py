"""From the grid to the spool: real sampler, real spool, simulated sensors, a clock that moves when told."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.clock import Clock
from agent.config import SensorConfig
from agent.errors import Unreadable
from agent.lanes.lane import GRACE_SECONDS
from agent.sampler import Probe, Sampler
from agent.spool import Spool
from agent.ticks import COMMIT_SECONDS, Ticks

BOOTED = 1_795_000_000.0


class Thermometer:
    """A sensor of the outside: gives what it holds, or fails if it holds nothing."""

    bus = "test"
    rated_celsius = (-55.0, 125.0)

    def __init__(self, celsius: float | None) -> None:
        self.celsius = celsius

    def read(self) -> float:
        if self.celsius is None:
            raise Unreadable("crc", "nobody there")
        return self.celsius


class SlowThermometer(Thermometer):
    """Takes a second of the world's time, on a bus of its own."""

    bus = "slow"

    def __init__(self, celsius: float | None, world: "World") -> None:
        super().__init__(celsius)
        self.world = world

    def read(self) -> float:
        self.world.now += 1.0
        return super().read()


class World:
    """`now` is seconds since boot; the wall clock is right, or `wrong_by` seconds off."""

    def __init__(self, directory: Path, *intervals: float) -> None:
        self.now = 50.0
        self.wrong_by = 0.0
        self.root = directory
        self.sensors = [Thermometer(20.0 + place) for place, _ in enumerate(intervals)]
        self.probes = [
            Probe(SensorConfig(name=f"s{place}", driver="simulated", interval_seconds=every), self.sensors[place])
            for place, every in enumerate(intervals)
        ]
        self.spool = Spool(directory / "spool.db")
        self.ticks = self.begin("boot-1")

    def begin(self, boot_id: str) -> Ticks:
        clock = Clock(
            self.root,
            wall=lambda: BOOTED + self.now + self.wrong_by,
            since_boot=lambda: self.now,
            boot_id=boot_id,
        )
        sampler = Sampler(self.probes, clock, monotonic=lambda: self.now)
        self.ticks = Ticks(self.probes, sampler, self.spool, clock, monotonic=lambda: self.now)
        return self.ticks

    def synchronise(self) -> None:
        """What systemd-timesyncd does once it has set the clock."""
        file = self.root / "run/systemd/timesync/synchronized"
        file.parent.mkdir(parents=True)
        file.touch()
        self.wrong_by = 0.0

    def stored(self) -> list[tuple[str, float, float]]:
        """Sensor, degrees, and seconds after boot of every reading that may be sent."""
        rows = (spooled.reading for spooled in self.spool.head(100))
        return [(row.sensor, row.celsius, row.unix_seconds - BOOTED) for row in rows]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def build(*intervals: float) -> World:
        made.append(World(tmp_path, *(intervals or (60.0,))))
        return made[-1]

    yield build
    for world in made:
        world.ticks.sampler.close()
        world.spool.close()


def test_the_first_tick_is_due_at_once_and_the_next_on_the_grid(make: Callable[..., World]) -> None:
    world = make(60.0)
    assert world.ticks.next_due == 50.0
    world.ticks.tick()
    assert world.ticks.next_due == 110.0


def test_sensors_that_share_a_point_of_the_grid_share_a_tick(make: Callable[..., World]) -> None:
    world = make(10.0, 20.0)
    world.synchronise()
    read = []
    for _ in range(4):
        world.now = world.ticks.next_due
        read.append([each.name for each in world.ticks.tick()])
    assert read == [["s0", "s1"], ["s0"], ["s0", "s1"], ["s0"]]


def test_an_overrun_skips_points_and_never_catches_up(make: Callable[..., World]) -> None:
    world = make(10.0)
    world.synchronise()
    world.ticks.tick()
    world.now += 35.0
    world.ticks.tick()
    assert world.ticks.next_due == 90.0
    assert len(world.stored()) == 2


def test_prepared_tick_is_looked_at_when_all_is_read_and_the_grid_stays(make: Callable[..., World]) -> None:
    world = make(60.0)
    world.synchronise()
    world.ticks.tick()
    world.ticks.prepare()
    assert (world.ticks.next_due, world.ticks.next_look) == (110.0, 110.0 + GRACE_SECONDS)
    assert world.ticks.next_news == world.ticks.next_look + COMMIT_SECONDS
    world.now = world.ticks.next_look
    world.ticks.tick()
    assert (world.ticks.next_due, world.ticks.next_look) == (170.0, 170.0)
    assert len(world.stored()) == 2


def test_prepared_tick_is_looked_at_halfway_to_the_next_at_the_latest(make: Callable[..., World]) -> None:
    world = make(60.0, 60.05)
    world.ticks.tick()
    world.ticks.prepare()
    assert world.ticks.next_look == pytest.approx(110.025)
    assert world.ticks.next_look < world.ticks.next_news < 110.03


def test_what_was_read_for_a_tick_that_never_comes_is_spooled(make: Callable[..., World]) -> None:
    world = make(60.0)
    world.synchronise()
    world.ticks.tick()
    world.now = 109.99
    world.ticks.prepare()
    world.now = 110.0  # due: the reader's own clock says so a hundredth of a second later
    for _ in range(1000):
        world.ticks.collect()
        if len(world.stored()) == 2:
            break
        threading.Event().wait(0.01)
    assert [second for *_, second in world.stored()] == [50.0, 110.0]


def test_a_tick_that_is_due_is_not_prepared(make: Callable[..., World]) -> None:
    world = make(10.0)
    world.ticks.tick()
    world.now = 60.0
    world.ticks.prepare()
    assert world.ticks.next_look == 60.0
    assert world.ticks.next_news <= world.now, "nobody is to rely on it"


def test_a_reading_is_stamped_with_the_second_it_was_taken(make: Callable[..., World]) -> None:
    world = make(60.0)
    world.synchronise()
    world.now = 50.9
    world.ticks.tick()
    assert world.stored() == [("s0", 20.0, 50.0)]


def test_a_tick_is_spooled_oldest_first_although_a_sensor_that_failed_is_read_last(make: Callable[..., World]) -> None:
    world = make(60.0, 60.0)
    world.synchronise()
    first = SlowThermometer(None, world)
    world.ticks.sampler.close()
    world.probes = [Probe(world.probes[0].config, first), Probe(world.probes[1].config, SlowThermometer(2.0, world))]
    world.begin("boot-1").tick()
    first.celsius = 1.0
    world.now = world.ticks.next_due
    world.ticks.tick()
    assert [celsius for _, celsius, _ in world.stored()] == [2.0, 2.0, 1.0]


def test_a_failed_read_stores_nothing_and_stops_nobody(make: Callable[..., World]) -> None:
    world = make(60.0, 60.0)
    world.synchronise()
    world.sensors[0].celsius = None
    taken = world.ticks.tick()
    assert [each.celsius for each in taken] == [None, 21.0]
    assert world.stored() == [("s1", 21.0, 50.0)]


def test_readings_of_an_untrusted_clock_are_held_and_then_stamped_right(make: Callable[..., World]) -> None:
    world = make(60.0)
    world.wrong_by = -500_000.0
    world.ticks.tick()
    world.now = world.ticks.next_due
    world.ticks.tick()
    assert world.stored() == []
    assert world.spool.counts().held == 2
    world.synchronise()
    world.now = world.ticks.next_due
    world.ticks.tick()
    assert world.stored() == [("s0", 20.0, 50.0), ("s0", 20.0, 110.0), ("s0", 20.0, 170.0)]


@pytest.mark.parametrize("steps", [(-500_000.0, 3600.0), (86_400.0, -7200.0), (-5e8, 0.0)])
def test_held_readings_are_stamped_right_whatever_steps_the_clock_made_meanwhile(
    make: Callable[..., World], steps: tuple[float, float]
) -> None:
    world = make(60.0)
    for wrong_by in steps:
        world.wrong_by = wrong_by
        world.ticks.tick()
        world.now = world.ticks.next_due
    world.synchronise()
    world.ticks.tick()
    assert world.stored() == [("s0", 20.0, 50.0), ("s0", 20.0, 110.0), ("s0", 20.0, 170.0)]


def test_a_clock_that_falls_back_to_before_the_build_epoch_holds_again_and_stamps_right(
    make: Callable[..., World],
) -> None:
    world = make(60.0)
    world.synchronise()
    for wrong_by in (0.0, -1e8, -1e8, 0.0):
        world.wrong_by = wrong_by
        world.ticks.tick()
        world.now = world.ticks.next_due
    assert world.spool.counts().held == 0
    assert [seconds for _, _, seconds in world.stored()] == [50.0, 110.0, 170.0, 230.0]


def test_readings_in_memory_are_stamped_too_while_the_disk_refuses(make: Callable[..., World]) -> None:
    world = make(60.0)
    world.spool.close()
    (world.root / "away.db").symlink_to(world.root / "not-mounted" / "spool.db")
    world.spool = Spool(world.root / "away.db")
    world.begin("boot-1").tick()
    world.synchronise()
    world.now = world.ticks.next_due
    world.ticks.tick()
    assert [seconds for _, _, seconds in world.stored()] == [50.0, 110.0]


def test_held_readings_of_a_boot_that_ended_are_set_aside(make: Callable[..., World]) -> None:
    world = make(60.0)
    world.ticks.tick()
    world.ticks.sampler.close()
    world.begin("boot-2")
    world.synchronise()
    world.ticks.tick()
    counts = world.spool.counts()
    assert (counts.set_aside, counts.held, counts.pending) == (1, 0, 1)


def test_times_of_a_sensor_never_repeat_even_if_the_clock_is_set_back(make: Callable[..., World]) -> None:
    world = make(1.0)
    world.synchronise()
    for _ in range(3):
        world.now = world.ticks.next_due
        world.ticks.tick()
        world.wrong_by -= 1.0
    times = [time for _, _, time in world.stored()]
    assert times == sorted(set(times))
    assert len(times) == 3


def test_a_clock_once_far_ahead_does_not_lift_every_later_stamp(make: Callable[..., World]) -> None:
    world = make(60, 60)
    world.synchronise()
    world.wrong_by = 10 * 365 * 86_400.0
    world.ticks.tick()
    world.wrong_by = 0.0
    for _ in range(2):
        world.now += 60
        world.ticks.tick()
    world.ticks.sampler.close()
    world.begin("boot-1")
    world.now += 60
    world.ticks.tick()
    seconds = [spooled.reading.unix_seconds - int(BOOTED) for spooled in world.spool.head()]
    assert seconds[2:] == [110, 110, 170, 170, 230, 230]
    assert world.spool.last_seconds == BOOTED + 230


def test_readings_held_after_a_clock_that_was_far_ahead_are_stamped_right(make: Callable[..., World]) -> None:
    world = make(60)
    world.synchronise()
    world.wrong_by = 10 * 365 * 86_400.0
    world.ticks.tick()
    world.wrong_by = -5e8
    world.now += 60
    world.ticks.tick()
    world.wrong_by = 0.0
    world.now += 60
    world.ticks.tick()
    assert [spooled.reading.unix_seconds - int(BOOTED) for spooled in world.spool.head()][1:] == [110, 170]


def test_times_go_on_above_those_before_a_restart(make: Callable[..., World]) -> None:
    world = make(60.0)
    world.synchronise()
    world.ticks.tick()
    world.ticks.sampler.close()
    world.begin("boot-1").tick()
    times = [time for _, _, time in world.stored()]
    assert times == [50.0, 51.0]


def test_a_sensor_that_fails_is_in_the_ledger(make: Callable[..., World]) -> None:
    world = make(60.0, 60.0)
    world.synchronise()
    world.sensors[0].celsius = None
    for _ in range(3):
        world.ticks.tick()
        world.now = world.ticks.next_due
    (gap,) = world.spool.gaps()
    assert (gap.sensor, gap.count, gap.cause) == ("s0", 3, "unreadable")
    assert (gap.since - BOOTED, gap.until - BOOTED) == (50, 170)


@pytest.mark.parametrize(("boot", "cause"), [("boot-1", "agent stopped"), ("boot-2", "powered off")])
def test_the_time_without_the_agent_is_in_the_ledger(make: Callable[..., World], boot: str, cause: str) -> None:
    world = make(60.0)
    world.synchronise()
    world.ticks.tick()
    world.ticks.sampler.close()
    world.now += 600.0
    world.begin(boot).tick()
    assert [(gap.cause, gap.count) for gap in world.spool.gaps()] == [(cause, 9)]


def test_a_failure_without_a_clock_is_in_the_ledger_by_its_time(make: Callable[..., World]) -> None:
    world = make(60.0, 60.0)
    world.wrong_by = -500_000.0
    world.sensors[1].celsius = None
    world.ticks.tick()
    assert world.spool.gaps() == []
    world.synchronise()
    world.sensors[1].celsius = 5.0
    world.now = world.ticks.next_due
    world.ticks.tick()
    assert [(gap.sensor, gap.since - BOOTED, gap.count) for gap in world.spool.gaps()] == [("s1", 50, 1)]
