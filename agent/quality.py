"""What makes a sound number a better one: two-point calibration, a median, a filter for spikes, report on change.

All of it is optional, and none of it makes a number out of a failed read.
"""

from collections.abc import Sequence

from agent.record import dataclass

Points = Sequence[Sequence[float]]
"""Two points of a calibration, each what the sensor showed and what was true, both in °C; or none."""


def calibrated(celsius: float, points: Points, *, offset: float) -> float:
    """On the line through the two points (as it is without them), then moved by `offset`; all in °C."""
    if points:
        (shown, true), (other_shown, other_true) = points
        celsius = true + (celsius - shown) * (other_true - true) / (other_shown - shown)
    return celsius + offset


def slope(points: Points) -> float:
    """Degrees in truth for each that the sensor shows. Raises ZeroDivisionError if both points show the same."""
    (shown, true), (other_shown, other_true) = points
    return (other_true - true) / (other_shown - shown)


def median(values: Sequence[float]) -> float:
    """The middle one. Of an even number the last is left out, so that what comes back is a value that was read."""
    odd = sorted(values[: len(values) - 1 | 1])
    return odd[len(odd) // 2]


@dataclass(frozen=True, slots=True)
class Steps:
    """What a filter for spikes knows of a sensor: the last value believed, and one that waits for a second like it.

    Two that agree are always believed, so a true step costs one read and nothing is held for ever.
    """

    last: float | None = None
    suspect: float | None = None

    def after(self, celsius: float, *, limit: float) -> "Steps":
        """With one more value; it was believed if `suspect` is None. `limit` is the largest step in °C."""
        if self.last is None or any(
            abs(celsius - other) <= limit for other in (self.last, self.suspect) if other is not None
        ):
            return Steps(celsius)
        return Steps(self.last, celsius)


@dataclass(frozen=True, slots=True)
class Reported:
    """The last value of a sensor that went into the spool, and its instant in seconds of any steady clock."""

    celsius: float
    seconds: float


def worth_reporting(
    celsius: float, seconds: float, last: Reported | None, *, deadband: float, silence: float, every: float
) -> bool:
    """Whether a value taken at `seconds` says anything new: `deadband` °C or more from the last one that was reported.

    Compared with what was reported, not with what was read, so that a slow drift is not lost. After `silence` seconds,
    to the nearest point of a grid of `every` seconds, anything is worth it: it is the proof of life.
    """
    if last is None or deadband <= 0:
        return True
    return abs(celsius - last.celsius) >= deadband or seconds - last.seconds >= silence - every / 2
