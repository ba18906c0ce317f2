"""The grid: after every stretch of time the next point is ahead, on the grid, and the nearest one."""

import itertools
import math
import random

import pytest

from agent.schedule import due_now, next_due

EVERY = (1.0, 10.0, 60.0, 0.1, 1 / 3, 7.7, 86_400.0)
STARTED = (0.0, 0.1, 12_345.678, 1e9 + 0.3)
GRIDS = list(itertools.product(EVERY, STARTED))


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (100.0, 160.0),
        (100.001, 160.0),
        (159.998, 160.0),
        (159.9995, 220.0),  # a wait that ended early: the point is the one just read
        (160.0, 220.0),
        (161.0, 220.0),
        (400.0, 460.0),  # a long overrun: what was missed is skipped
        (99.0, 160.0),  # a clock before the start
        (-1e6, 160.0),
    ],
)
def test_the_next_point_lies_ahead_on_the_grid(now: float, due: float) -> None:
    assert next_due(now, started=100.0, every=60.0) == due


@pytest.mark.parametrize(("every", "started"), GRIDS)
def test_it_never_bursts_and_never_drifts(every: float, started: float) -> None:
    chance = random.Random(f"{every} {started}")
    now = started
    for _ in range(500):
        due = next_due(now, started=started, every=every)
        assert due > now
        assert due - now <= every + 0.0011
        points = (due - started) / every
        assert math.isclose(points, round(points), rel_tol=1e-9, abs_tol=1e-5)
        now = due + chance.choice((0.0, 1e-9, 0.2, 0.99, 1.0, 3.7, 1000.3)) * every


@pytest.mark.parametrize(("every", "started"), GRIDS)
def test_waking_exactly_on_time_skips_no_point(every: float, started: float) -> None:
    due = started
    for number in range(1, 2000):
        due = next_due(due, started=started, every=every)
        assert math.isclose(due, started + number * every, rel_tol=1e-12, abs_tol=every / 1000)


@pytest.mark.parametrize(
    ("dues", "places"),
    [
        ([], []),
        ([10.0], [0]),
        ([10.0005], [0]),
        ([10.002], []),
        ([20.0, 10.0, 9.0], [1, 2]),
    ],
)
def test_what_is_due_within_a_millisecond_is_due_now(dues: list[float], places: list[int]) -> None:
    assert due_now(10.0, dues) == places


@pytest.mark.parametrize("early", [0.0, 1e-9, 0.0005, 0.00099])
def test_a_wait_that_ends_a_little_early_does_not_make_its_tick_twice(early: float) -> None:
    now = 160.0 - early
    assert due_now(now, [160.0]) == [0]
    assert due_now(now, [next_due(now, started=100.0, every=60.0)]) == []
