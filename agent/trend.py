"""The course of a temperature over the last hours, in few enough points to be kept for every sensor and shown as a line.

Pure. A point is the mean of a quarter of an hour; where nothing was read there is none, so a gap stays a gap.
"""

from typing import Final

from agent.record import dataclass

STEP_SECONDS: Final = 900
POINTS: Final = 24  # six hours: what fits beside a name, a value and an age in 80 columns


@dataclass(frozen=True, slots=True)
class Trend:
    """`means` in °C, oldest first, the last of them of step number `step` since boot and of `count` readings so far."""

    means: tuple[float | None, ...] = ()
    step: int = 0
    count: int = 0

    def after(self, celsius: float, boot_seconds: float) -> "Trend":
        """The trend with one more reading, of that instant in seconds since boot."""
        step = int(boot_seconds // STEP_SECONDS)
        if self.means and step <= self.step:
            count = self.count + 1
            mean = (self.means[-1] or 0.0) + (celsius - (self.means[-1] or 0.0)) / count
            return Trend((*self.means[:-1], mean), self.step, count)
        return Trend((*self.until(step)[:-1], celsius), step, 1)

    def until(self, step: int) -> tuple[float | None, ...]:
        """The means up to that step, the latest POINTS of them; None for each step without a reading."""
        if not self.means:
            return (None,)
        silent = min(max(0, step - self.step), POINTS)
        return (*self.means, *(None,) * silent)[-POINTS:]

    def points(self, boot_seconds: float) -> list[float | None]:
        """The means up to that instant in thousandths of a degree, as the status says them; empty before a reading."""
        if not self.means:
            return []
        until = self.until(int(boot_seconds // STEP_SECONDS))
        return [None if mean is None else round(mean, 3) + 0.0 for mean in until]  # + 0.0: no -0.0
