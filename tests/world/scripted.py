"""A sensor that does as it is told."""

import itertools


class Scripted:
    """Gives or raises what it is told, then the last of it for ever; `reads` counts."""

    rated_celsius = (-55.0, 125.0)

    def __init__(self, *answers: float | Exception, bus: str = "test") -> None:
        self.bus = bus
        self.reads = 0
        self._answers = itertools.chain(answers, itertools.repeat(answers[-1]))

    def read(self) -> float:
        """The next answer."""
        self.reads += 1
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer
