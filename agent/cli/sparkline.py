"""A course of temperatures in a line of text: eight heights, and a blank where nothing was read."""

from collections.abc import Sequence
from typing import Final

LEAST_SPAN: Final = 0.5  # °C over the whole height: below it there is noise, and noise shall not look like mountains


def sparkline(points: Sequence[float | None], sparks: str) -> str:
    """A character for each point; lowest and highest of the points span the heights, if LEAST_SPAN apart."""
    known = [point for point in points if point is not None]
    if not known:
        return " " * len(points)
    low, high = min(known), max(known)
    spare = max(0.0, LEAST_SPAN - (high - low)) / 2
    low, high = low - spare, high + spare
    steps = len(sparks) - 1
    return "".join(" " if point is None else sparks[round((point - low) / (high - low) * steps)] for point in points)


def span(points: Sequence[float | None]) -> str:
    """Lowest and highest in words; empty below two readings."""
    known = [point for point in points if point is not None]
    return f"{min(known):.1f} to {max(known):.1f}" if len(known) > 1 else ""
