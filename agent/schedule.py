"""When to read next: a fixed monotonic grid that skips what was missed and never bursts."""

import math
from collections.abc import Iterable


def next_due(now: float, *, started: float, every: float) -> float:
    """The first point of the grid `started + k·every` (k ≥ 1) that lies after `now`; all in monotonic seconds.

    An overrun skips points: the next one is still on the grid, so nothing drifts and nothing catches up.
    """
    passed = math.floor((now - started) / every)
    due = started + (max(passed, 0) + 1) * every
    return due if due > now else due + every  # the product may round down onto `now` itself


def due_now(now: float, dues: Iterable[float], *, slack: float = 0.001) -> list[int]:
    """Places of the dues that have come, within a millisecond: grids that share a point are one tick."""
    return [place for place, due in enumerate(dues) if due <= now + slack]
