"""The pure part of reading quality, each function as a table."""

import itertools

import pytest

from agent.quality import Reported, Steps, calibrated, median, worth_reporting

ICE_AND_SIXTY = ((0.4, 0.0), (59.1, 60.0))


@pytest.mark.parametrize(
    ("celsius", "points", "offset", "true"),
    [
        (21.5, (), 0.0, 21.5),
        (21.5, (), -0.2, 21.3),
        (0.4, ICE_AND_SIXTY, 0.0, 0.0),
        (59.1, ICE_AND_SIXTY, 0.0, 60.0),
        (29.75, ICE_AND_SIXTY, 0.0, 30.0),
        (-58.3, ICE_AND_SIXTY, 0.0, -60.0),  # beyond the points the line goes on
        (29.75, ICE_AND_SIXTY[::-1], 0.0, 30.0),
        (29.75, ICE_AND_SIXTY, 0.5, 30.5),
    ],
)
def test_calibration_is_the_line_through_two_points_and_an_offset(
    celsius: float, points: tuple[tuple[float, float], ...], offset: float, true: float
) -> None:
    assert calibrated(celsius, points, offset=offset) == pytest.approx(true)


@pytest.mark.parametrize(
    ("values", "middle"),
    [([3.0], 3.0), ([9.0, 1.0, 2.0], 2.0), ([5.0, 4.0, 3.0, 2.0, 1.0], 3.0), ([7.0, 1.0], 7.0), ([3, 1, 2, 9], 2)],
)
def test_median_is_a_value_that_was_read(values: list[float], middle: float) -> None:
    assert median(values) == middle


@pytest.mark.parametrize(
    ("values", "believed"),
    [
        ([20, 20.5, 21], [True, True, True]),
        ([85], [True]),  # the first cannot be judged
        ([20, 25, 30], [True, True, True]),  # the limit itself is no spike
        ([20, 60, 20], [True, False, True]),
        ([20, 60, 61], [True, False, True]),
        ([20, 60, 61, 62], [True, False, True, True]),
        ([20, 60, 90, 91], [True, False, False, True]),
        ([20, 60, -20, 20], [True, False, False, True]),
        ([20, 60, 20, 60], [True, False, True, False]),  # what was suspected before a good value counts no more
    ],
)
def test_step_is_believed_once_a_second_value_agrees(values: list[float], believed: list[bool]) -> None:
    steps, seen = Steps(), []
    for value in values:
        steps = steps.after(value, limit=5.0)
        seen.append(steps.suspect is None)
    assert seen == believed


@pytest.mark.parametrize("start", [-1000.0, 0.0, 1000.0])
def test_filter_for_spikes_never_latches(start: float) -> None:
    for noise in itertools.product((-500.0, 0.0, 500.0), repeat=4):
        steps = Steps().after(start, limit=0.001)
        for value in (*noise, 20.0, 20.0):
            steps = steps.after(value, limit=0.001)
        assert steps == Steps(20.0)


@pytest.mark.parametrize(
    ("celsius", "seconds", "deadband", "worth"),
    [
        (20.0, 60.0, 0.0, True),  # off
        (20.4, 60.0, 0.5, False),
        (19.6, 60.0, 0.5, False),
        (20.5, 60.0, 0.5, True),
        (19.5, 60.0, 0.5, True),
        (20.0, 3540.0, 0.5, False),
        (20.0, 3599.7, 0.5, True),  # the tick was a little early
        (20.0, 3600.0, 0.5, True),
    ],
)
def test_value_is_worth_reporting_when_it_has_changed_or_after_a_long_silence(
    celsius: float, seconds: float, deadband: float, worth: bool
) -> None:
    last = Reported(20.0, 0.0)
    assert worth_reporting(celsius, seconds, last, deadband=deadband, silence=3600.0, every=60.0) is worth


def test_first_value_is_worth_reporting() -> None:
    assert worth_reporting(20.0, 0.0, None, deadband=50.0, silence=3600.0, every=60.0)
