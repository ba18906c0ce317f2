"""One reading of one sensor: what is tried again, what is refused, and in which order a number is corrected."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from world.scripted import Scripted

from agent.config import SensorConfig
from agent.errors import Absent, BusStuck, Implausible, Misconfigured, SensorError, Unreadable
from agent.measurement import SpikeFilter, measure

CRC = Unreadable("crc", "made by the test")


class TickingClock:
    """Monotonic seconds that pass by themselves: so many with each look."""

    def __init__(self, step: float) -> None:
        self.now, self._step = 0.0, step

    def __call__(self) -> float:
        self.now += self._step
        return self.now


def reading_of(
    sensor: Scripted,
    spikes: SpikeFilter | None = None,
    *,
    monotonic: Callable[[], float] = lambda: 0.0,
    tries: int = 3,
    **config: Any,
) -> float:
    made = SensorConfig(name="s", driver="simulated", **config)
    return measure(sensor, made, spikes or SpikeFilter(0.0), monotonic=monotonic, tries=tries)


@pytest.mark.parametrize(
    ("error", "reads"),
    [
        (CRC, 3),
        (Implausible("power_on_reset", "85"), 3),
        (Absent("absent", "gone"), 1),
        (BusStuck("bus_stuck", "held"), 1),
        (Misconfigured("bad_id", "another"), 1),
    ],
)
def test_only_passing_faults_are_tried_again(error: SensorError, reads: int) -> None:
    sensor = Scripted(error)
    with pytest.raises(type(error)):
        reading_of(sensor)
    assert sensor.reads == reads


def test_fault_that_passes_costs_nothing() -> None:
    assert reading_of(Scripted(CRC, CRC, 21.5)) == 21.5


def test_value_that_the_gate_refuses_is_read_again() -> None:
    assert reading_of(Scripted(-110.9375, 21.5)) == 21.5


@pytest.mark.parametrize("answer", [CRC, 20.0])
def test_reads_of_a_slow_sensor_end_within_three_seconds(answer: float | Exception) -> None:
    clock = TickingClock(1.2)  # each read takes that long
    try:
        reading_of(Scripted(answer), monotonic=clock, median_of=5)
    except Unreadable:
        assert answer is CRC
    assert clock.now - 1.2 <= 3.0


def test_range_is_judged_before_calibration_and_offset() -> None:
    sensor = Scripted(1.0)
    points = ((0.0, -10.0), (100.0, 90.0))
    assert reading_of(sensor, min_celsius=0.0, calibration=points, offset_celsius=-4.0) == -13.0


def test_range_of_the_chip_is_not_widened_by_a_calibration() -> None:
    with pytest.raises(Implausible, match="out_of_range"):
        reading_of(Scripted(127.9375), calibration=((0.0, 0.0), (100.0, 90.0)), offset_celsius=-10.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, 126.0, -0.5])
def test_value_out_of_range_gives_no_number(value: float) -> None:
    with pytest.raises(Implausible):
        reading_of(Scripted(value), min_celsius=0.0)


@pytest.mark.parametrize(
    ("answers", "of", "celsius"),
    [
        ((20.0, 90.0, 20.5), 1, 20.0),
        ((20.0, 90.0, 20.5), 3, 20.5),
        ((90.0, 20.0, 20.5), 3, 20.5),
        ((20.0, CRC, 20.5, 21.0), 3, 20.5),
        ((1.0, 99.0, 2.0, 98.0, 3.0), 5, 3.0),
    ],
)
def test_reading_is_the_median_of_that_many_values(
    answers: tuple[float | Exception, ...], of: int, celsius: float
) -> None:
    assert reading_of(Scripted(*answers), median_of=of) == celsius


def test_median_is_of_fewer_values_where_time_is_short() -> None:
    sensor = Scripted(20.0, 21.0, 90.0, 90.0, 90.0)
    assert reading_of(sensor, monotonic=TickingClock(1.5), median_of=5) == 20.0
    assert sensor.reads == 2


def test_each_value_of_a_median_is_judged() -> None:
    sensor = Scripted(200.0, 20.0, 21.0, 22.0)
    assert reading_of(sensor, median_of=3) == 21.0


def test_spike_is_read_again_and_leaves_no_trace() -> None:
    spikes = SpikeFilter(5.0)
    sensor = Scripted(20.0, 60.0, 20.5, 21.0)
    assert [reading_of(sensor, spikes) for _ in range(3)] == [20.0, 20.5, 21.0]


def test_step_that_lasts_is_believed_at_the_second_value() -> None:
    spikes = SpikeFilter(5.0)
    sensor = Scripted(20.0, 60.0, 60.5)
    assert [reading_of(sensor, spikes) for _ in range(2)] == [20.0, 60.5]


def test_step_of_a_sensor_that_has_one_try_is_believed_in_the_next_tick() -> None:
    spikes = SpikeFilter(5.0)
    sensor = Scripted(20.0, 60.0)
    reading_of(sensor, spikes)
    with pytest.raises(Implausible, match="spike"):
        reading_of(sensor, spikes, tries=1)
    assert reading_of(sensor, spikes, tries=1) == 60.0


def test_spike_is_judged_by_the_calibrated_median() -> None:
    spikes = SpikeFilter(5.0)
    sensor = Scripted(20.0, 20.0, 20.0, 20.0, 90.0, 21.0)
    assert [reading_of(sensor, spikes, median_of=3) for _ in range(2)] == [20.0, 21.0]
    assert sensor.reads == 6
