"""The few points that a sensor's last hours become, and the time that a backlog takes."""

import pytest

from agent.backlog import Backlog
from agent.trend import POINTS, STEP_SECONDS, Trend

MINUTE = 60.0


def trend(*readings: tuple[float, float]) -> Trend:
    """After readings of (minutes since boot, °C)."""
    made = Trend()
    for minutes, celsius in readings:
        made = made.after(celsius, minutes * MINUTE)
    return made


@pytest.mark.parametrize(
    ("readings", "at", "points"),
    [
        ((), 5, []),
        (((1, 20.0),), 5, [20.0]),
        (((1, 20.0), (2, 21.0), (3, 25.0)), 5, [22.0]),
        (((1, 20.0), (16, 30.0)), 20, [20.0, 30.0]),
        (((1, 20.0), (46, 30.0)), 50, [20.0, None, None, 30.0]),
        (((1, 20.0),), 40, [20.0, None, None]),
        (((1, -0.0004),), 1, [0.0]),
        (((20, 20.0), (10, 22.0)), 20, [21.0]),  # late, from a slow bus: it belongs to the latest point
    ],
)
def test_a_point_is_the_mean_of_a_quarter_of_an_hour(
    readings: tuple[tuple[float, float], ...], at: float, points: list[float | None]
) -> None:
    assert repr(trend(*readings).points(at * MINUTE)) == repr(points)  # by its text: 0.0 == -0.0


def test_it_is_bounded_whatever_comes_in_and_however_long_nothing_does() -> None:
    many = trend(*((step * 15, float(step)) for step in range(100)))
    assert many.points(99 * STEP_SECONDS) == [float(step) for step in range(100 - POINTS, 100)]
    assert many.points(1e9) == [None] * POINTS
    assert len(many.after(1.0, 1e9).means) == POINTS


@pytest.mark.parametrize(
    ("samples", "seconds"),
    [
        ((), None),
        (((0, 1000),), None),
        (((0, 1000), (10, 900)), 90.0),
        (((0, 1000), (10, 900), (20, 700)), pytest.approx(700 * 20 / 300)),
        (((0, 1000), (10, 1000)), None),  # nothing leaves
        (((0, 1000), (10, 900), (20, 950), (30, 850)), 85.0),  # grew meanwhile: judged anew
        (((0, 30), (10, 3)), None),  # nobody waits for that
        (((0, 1000), (0.1, 900)), None),  # one answer is no rate
    ],
)
def test_the_time_left_is_by_the_rate_of_late(samples: tuple[tuple[float, int], ...], seconds: float | None) -> None:
    backlog = Backlog()
    for now, left in samples:
        backlog = backlog.after(left, now)
    assert backlog.seconds_left == seconds


def test_a_backlog_remembers_no_more_than_it_needs() -> None:
    backlog = Backlog()
    for tenth in range(10_000):
        backlog = backlog.after(100_000 - tenth, tenth / 10)
    assert len(backlog.samples) <= 13
    assert backlog.seconds_left == pytest.approx(90_001 / 10, rel=0.01)
