"""The hours of each sensor, taken over from the status of the daemon before: a restart for a new certificate, an upgrade or
a reload is no reason to forget them. One that cannot be understood is as good as none.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from agent.clock import Stamp
from agent.trend import POINTS, STEP_SECONDS, Trend


def trends(found: Mapping[str, Any], now: Stamp) -> dict[str, Trend]:
    """Of each sensor in the status, as of now; empty if it is older than a trend, of another boot, or not from the past."""
    try:
        age = now.utc - datetime.fromisoformat(found["written"]).timestamp()
        written = now.boot_seconds - age
        if not 0 <= age < POINTS * STEP_SECONDS or written < 0:
            return {}
        made = {sensor["sensor"]: _trend(sensor["trend"], written) for sensor in found["sensors"]}
    except (KeyError, TypeError, ValueError):
        return {}
    return {name: trend for name, trend in made.items() if trend is not None}


def _trend(said: Mapping[str, Any], written: float) -> Trend | None:
    """Up to the last point that is known; raises KeyError, TypeError, ValueError for what is no trend."""
    points = [None if point is None else float(point) for point in said["celsius"]][-POINTS:]
    step = int(written // STEP_SECONDS)
    while points and points[-1] is None:
        points.pop()
        step -= 1
    return Trend(tuple(points), step, 1) if points and said["step_seconds"] == STEP_SECONDS else None
