"""The ledger of gaps: why a sensor's record has a hole. What was seen goes in, entries come out.

One entry tells of all misses of one cause that lie close together, so that a sensor which fails every other minute
fills a line and not the ledger.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from agent.record import dataclass, replace

CLOSE_SECONDS: Final = 900  # misses no further apart than this share an entry
LATE: Final = 1.5  # intervals between two readings that make a hole


class Cause(StrEnum):
    """What kept readings from being taken, or from being delivered."""

    POWERED_OFF = "powered off"
    AGENT_STOPPED = "agent stopped"
    ABSENT = "sensor absent"
    UNREADABLE = "unreadable"
    CLOCK_UNKNOWN = "clock unknown"
    SPOOL_FULL = "spool full"
    REFUSED = "refused by the shield"
    DAMAGED = "damaged on disk"


@dataclass(frozen=True, slots=True)
class Gap:
    """`count` readings of the sensor are missing between the UTC seconds `since` and `until`, both included."""

    sensor: str
    since: int
    until: int
    count: int
    cause: Cause


def missed(sensor: str, second: int, kind: str) -> Gap:
    """One reading that failed; `kind` is what the sensor's error says of itself."""
    return Gap(sensor, second, second, 1, Cause.ABSENT if kind == "absent" else Cause.UNREADABLE)


def silence(sensor: str, *, last: int, first: int, every: float, same_boot: bool) -> Gap | None:
    """The hole between the last second of an earlier run and the first reading of this one, None if there is none.

    `last` is 0 when nothing is known. `every` is the sensor's interval in seconds.
    """
    if not 0 < last < first or first - last < LATE * every:
        return None
    count = max(round((first - last) / every) - 1, 1)
    cause = Cause.AGENT_STOPPED if same_boot else Cause.POWERED_OFF
    return Gap(sensor, last + 1, first - 1, count, cause)


def joined(gaps: Iterable[Gap]) -> list[Gap]:
    """The same misses in as few entries as tell of them, in the order of their beginnings."""
    latest: dict[tuple[str, Cause], Gap] = {}
    done: list[Gap] = []
    for gap in sorted(gaps, key=lambda gap: gap.since):
        before = latest.get((gap.sensor, gap.cause))
        if before is not None and gap.since <= before.until + CLOSE_SECONDS:
            gap = replace(  # noqa: PLW2901
                before, until=max(before.until, gap.until), count=before.count + gap.count
            )
        elif before is not None:
            done.append(before)
        latest[gap.sensor, gap.cause] = gap
    return sorted([*done, *latest.values()], key=lambda gap: gap.since)


def moved(gaps: Iterable[Gap], seconds: float) -> list[Gap]:
    """The gaps by another clock, `seconds` ahead of theirs."""
    return [replace(gap, since=int(gap.since + seconds), until=int(gap.until + seconds)) for gap in gaps]


@dataclass(frozen=True, slots=True)
class Watch:
    """What was missed since the start, by seconds since boot, until the clock can tell when that was.

    `last` is the last UTC second of the run before, `began` this run's first try in seconds since boot.
    """

    last: int
    same_boot: bool
    began: float | None = None
    misses: tuple[Gap, ...] = ()

    def after(self, failed: Iterable[tuple[str, str]], now: float) -> "Watch":
        """With the sensors that failed in a tick at `now`, each with the kind of its error."""
        found = [missed(sensor, int(now), kind) for sensor, kind in failed]
        began = now if self.began is None else self.began
        return replace(self, began=began, misses=tuple(joined([*self.misses, *found])) if found else self.misses)

    def told(self, offset: float, intervals: Mapping[str, float]) -> tuple["Watch", list[Gap]]:
        """What is left to watch, and the gaps in UTC = boot seconds + offset, with the hole before the start."""
        first = int((self.began or 0.0) + offset)
        before = [
            silence(sensor, last=self.last, first=first, every=every, same_boot=self.same_boot)
            for sensor, every in intervals.items()
        ]
        gaps = [*(gap for gap in before if gap), *moved(self.misses, offset)]
        return replace(self, last=0, misses=()), gaps
