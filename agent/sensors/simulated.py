"""A sensor that is not there: a slow sine, so that everything behind it can be tried without hardware."""

import math
from collections.abc import Callable
from typing import ClassVar

from agent.record import dataclass


@dataclass(frozen=True, slots=True)
class SimulatedSensor:
    """`celsius` ± `swing_celsius` once in `period_seconds`, by a monotonic clock."""

    bus: ClassVar[str] = "simulated"
    rated_celsius: ClassVar[tuple[float, float]] = (-55.0, 125.0)

    celsius: float
    swing_celsius: float
    period_seconds: float
    monotonic: Callable[[], float]

    def read(self) -> float:
        """Degrees Celsius; never fails."""
        return self.celsius + self.swing_celsius * math.sin(math.tau * self.monotonic() / self.period_seconds)
