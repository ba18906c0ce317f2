"""What the agent writes to flash, today and at this rate in a year, and what that means for a card.

Counted: what the kernel says this process had written (write_bytes, proc_pid_io(5): the data, no tmpfs), and for each
commit what the file system's journal adds. Not counted: other programs, and what a card moves about inside itself.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from agent.clock import Stamp
from agent.reading import utc_text
from agent.record import dataclass, replace

COUNTERS: Final = Path("/proc/self/io")
JOURNAL_BYTES: Final = 2_400  # a commit, on ext4 with ticks ten seconds apart: 11,648 on the device, 9,216 of them data
CARD_BYTES: Final = 1_600_000_000_000  # a 32 GB card that is worn evenly: 500 times over, a tenth of it useful
RATE_SECONDS: Final = 3_600.0  # no rate is told of less
DAY: Final = 86_400
YEAR: Final = 365.25 * DAY


def written(commits: int, counters: Path = COUNTERS) -> int | None:
    """Bytes written to flash since the process began; None where the kernel does not count them."""
    try:
        lines = counters.read_text().splitlines()
    except OSError:
        return None
    found = [int(line.removeprefix("write_bytes:")) for line in lines if line.startswith("write_bytes:")]
    return found[0] + commits * JOURNAL_BYTES if found else None


@dataclass(frozen=True, slots=True)
class Flash:
    """`total` bytes by now, `first` of them before the instant `began`; `midnight` of them before today. What was
    written today from the second `since` on has the `carried` bytes of the daemon before in it.
    """

    now: Stamp | None = None
    began: Stamp | None = None
    since: float = 0.0
    first: int = 0
    midnight: int = 0
    total: int | None = None
    carried: int = 0

    def after(self, total: int | None, now: Stamp) -> "Flash":
        """The count at a later instant. A day begins at midnight UTC by the clock, the first with the process."""
        if total is None:
            return self
        midnight = now.utc // DAY * DAY
        if self.began is None or self.now is None:
            if midnight <= self.since <= now.utc:
                return Flash(now, now, self.since, total, total, total, self.carried)
            return Flash(now, now, now.utc, total, total, total)
        if midnight > self.now.utc:
            return replace(self, now=now, since=midnight, midnight=self.total or total, total=total, carried=0)
        return replace(self, now=now, total=total)

    def facts(self) -> dict[str, Any]:
        """For the status: bytes today and since when, a year and the years of a card at this rate; None if unknown."""
        today = year = None
        if self.total is not None and self.began and self.now:
            today = self.total - self.midnight + self.carried
            seconds = self.now.boot_seconds - self.began.boot_seconds
            if seconds >= RATE_SECONDS:
                year = round((self.total - self.first) / seconds * YEAR)
        return {
            "flash_bytes_today": today,
            "flash_today_since": utc_text(self.since) if self.began else None,
            "flash_bytes_per_year": year,
            "flash_card_bytes": CARD_BYTES,
            "flash_card_years": round(CARD_BYTES / year, 1) if year else None,
        }


def resumed(found: Mapping[str, Any]) -> Flash:
    """A count that goes on from what the daemon before said in its status; from nothing if that did not count.

    The status lies in memory, so a restart keeps the day and a reboot does not.
    """
    try:
        spool = found["spool"]
        since = datetime.fromisoformat(spool["flash_today_since"]).timestamp()
        return Flash(since=since, carried=int(spool["flash_bytes_today"]))
    except (KeyError, TypeError, ValueError):
        return Flash()
