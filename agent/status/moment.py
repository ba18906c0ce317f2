"""The moment that a status is of."""

from datetime import UTC, datetime

from agent.clock import Stamp
from agent.reading import utc_text
from agent.record import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant, and the process that tells of it: `stamp` is as readings are stamped, `monotonic` as the line counts (s);
    `clock_synchronised` is whether a time daemon has set the clock since boot. The process is of that `version` and runs
    `since` that UTC second.
    """

    stamp: Stamp
    monotonic: float
    version: str
    since: float
    clock_synchronised: bool

    @property
    def now(self) -> datetime:
        """As the clock has it."""
        return datetime.fromtimestamp(self.stamp.utc, UTC)

    def utc(self, stamp: Stamp | None) -> str | None:
        """The other instant by what the clock says now: one from before the clock was set is put right."""
        if stamp is None:
            return None
        return utc_text(self.stamp.utc - self.stamp.boot_seconds + stamp.boot_seconds)

    def wall(self, monotonic: float) -> str:
        """The time of day of a monotonic second."""
        return utc_text(self.stamp.utc - self.monotonic + monotonic)
