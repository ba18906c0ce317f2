"""When to read next: a fixed monotonic grid that skips what was missed and never bursts."""

import math
from collections.abc import Iterable
from typing import Final

SLACK: Final = 0.001  # seconds; a wait may end that much early, and grids that share a point are one tick


def next_due(now: float, *, started: float, every: float) -> float:
    """The first point of the grid `started + k·every` (k ≥ 1) more than a millisecond after `now`; monotonic seconds.

    An overrun skips points: the next one is still on the grid, so nothing drifts and nothing catches up.
    """
    passed = math.floor((now - started + SLACK) / every)
    return started + (max(passed, 0) + 1) * every


def due_now(now: float, dues: Iterable[float]) -> list[int]:
    """Places of the dues that have come, or come within a millisecond."""
    return [place for place, due in enumerate(dues) if due <= now + SLACK]
