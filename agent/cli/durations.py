"""Seconds as a person says them: one unit, rounded down, so that an age never looks older than it is."""

import argparse
import math
from datetime import datetime
from typing import Final

UNITS: Final = ((365 * 86_400, "years"), (86_400, "d"), (3600, "h"), (60, "min"))


def seconds(text: str) -> float:
    """What was given to an option: 0 or more. Raises ArgumentTypeError, which argparse tells."""
    try:
        given = float(text)
    except ValueError:
        given = math.nan
    if not 0 <= given < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 0 or more")
    return given


def spell(seconds: float) -> str:
    """`45 s`, `3 min`, `50 h`, `12 d`, `2 years`: the largest unit of which there are two."""
    whole = max(0, int(seconds))
    for size, unit in UNITS:
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def between(time: str, now: datetime) -> float:
    """Seconds from that UTC text until now; negative if it is still to come."""
    return (now - datetime.fromisoformat(time)).total_seconds()


def ago(time: str, now: datetime) -> str:
    """The age of an instant."""
    return f"{spell(between(time, now))} ago"


def until(time: str, now: datetime) -> str:
    """How far off an instant is; one that has passed is due."""
    seconds = -between(time, now)
    return f"in {spell(seconds)}" if seconds > 0 else "now"
