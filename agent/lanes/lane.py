"""One bus, and how long it keeps a thread."""

from collections import deque
from typing import Final, Generic, TypeVar

Work = TypeVar("Work")

TURN_SECONDS: Final = (
    1.0  # one thread reads for so long: a conversion on a 1-Wire bus, and what is fast; buses beyond that get another
)
GRACE_SECONDS: Final = 0.1  # later than expected, and the buses that wait get another thread


class Lane(Generic[Work]):
    """One bus. `left` is to be read, by one thread at a time; it is `free` while none has it and it waits for none.

    `turned` is when a thread took it, `began` when the read under way did (monotonic s); `took` is how many seconds a
    thread had it the last time.
    """

    def __init__(self) -> None:
        self.left: deque[Work] = deque()
        self.free = True
        self.turned = self.took = 0.0
        self.began: float | None = None

    def hangs_at(self, now: float, hang_seconds: float) -> float:
        """When the read under way is overdue."""
        began = self.began
        return (now if began is None else began) + hang_seconds


def threads_for(seconds: float, turn: float) -> int:
    """How many threads are to share so many seconds of reading, if `turn` of them are one thread's."""
    return 1 + int(seconds / max(turn, GRACE_SECONDS))
