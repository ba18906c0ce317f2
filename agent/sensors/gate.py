"""Whether a number can be the temperature: the chip's rated range, narrowed by the operator, never widened."""

import math

from agent.errors import Implausible


def gate(value: float, *, rated: tuple[float, float], low: float | None, high: float | None) -> float:
    """The same value, all in °C, if it lies within `rated` and within `low` … `high` where those are given.

    Raises Implausible otherwise, and for NaN and the infinities, which every plain comparison lets through.
    """
    if not math.isfinite(value):
        raise Implausible("not_a_number", f"the sensor gave {value}")
    if not rated[0] <= value <= rated[1]:
        raise Implausible("out_of_range", f"{value:g} °C is outside the rated {rated[0]:g}…{rated[1]:g} °C")
    if low is not None and value < low:
        raise Implausible("below_minimum", f"{value:g} °C is below min_celsius {low:g}")
    if high is not None and value > high:
        raise Implausible("above_maximum", f"{value:g} °C is above max_celsius {high:g}")
    return value
