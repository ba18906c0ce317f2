"""How long a backlog will take, by how it has shrunk of late: for the status and for whoever waits at a terminal.

Pure: monotonic seconds and counts in, an estimate out; no estimate is better than a wild one.
"""

from typing import Final

from agent.record import dataclass

APART_SECONDS: Final = 5.0  # less says more about one answer than about the rate
SAMPLES: Final = 13  # a minute of waiting at a terminal; a quarter of an hour of ticks, one a minute
SHORT: Final = 20  # readings: below this nobody waits


@dataclass(frozen=True, slots=True)
class Backlog:
    """`samples` are (monotonic s, left), oldest first."""

    samples: tuple[tuple[float, int], ...] = ()

    def after(self, left: int, now: float) -> "Backlog":
        """With what is left at `now`. A backlog that has grown is judged anew from here."""
        if self.samples and left > self.samples[-1][1]:
            return Backlog(((now, left),))
        if len(self.samples) > 1 and now - self.samples[-2][0] < APART_SECONDS:
            return Backlog((*self.samples[:-1], (now, left)))
        return Backlog((*self.samples, (now, left))[-SAMPLES:])

    @property
    def seconds_left(self) -> float | None:
        """Seconds until nothing is left, at the present rate; None if that cannot be told, or is no time at all."""
        if len(self.samples) < 2:
            return None
        (began, before), (now, left) = self.samples[0], self.samples[-1]
        if left < SHORT or before <= left or now - began < 1.0:
            return None
        return left * (now - began) / (before - left)
