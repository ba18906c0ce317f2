"""A sensor's readings over time, and where its line must break: a hole is never drawn over."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from agent.record import dataclass

NEIGHBOURS: Final = 5  # intervals on each side that say what is usual: thinned readings lie further apart
EXPLAINED: Final = 1.6  # usual intervals that make a hole where the ledger has a reason
UNEXPLAINED: Final = 3.0  # and where it has none, of the longer intervals around
UNKNOWN: Final = "no reason known"

Point = tuple[int, float]  # UTC second, degrees Celsius


@dataclass(frozen=True, slots=True)
class Hole:
    """Nothing is known between these UTC seconds; `count` readings are missing, 0 if nobody counted."""

    since: int
    until: int
    why: str
    count: int = 0


@dataclass(frozen=True, slots=True)
class Series:
    """`points` by time, each second once, and the `holes` between, before and after them."""

    sensor: str
    points: tuple[Point, ...]
    holes: tuple[Hole, ...] = ()

    def runs(self) -> Iterator[Sequence[Point]]:
        """The points without a hole between them."""
        begin = 0
        for hole in self.holes:
            end = bisect_left(self.points, (hole.until, float("-inf")))
            if end > begin and end < len(self.points) and self.points[end - 1][0] <= hole.since:
                yield self.points[begin:end]
                begin = end
        if self.points[begin:]:
            yield self.points[begin:]


def made(sensor: str, points: Sequence[Point], reasons: Sequence[Hole], *, since: int, until: int) -> Series:
    """The series of these points, in any order, with its holes; `reasons` are what the ledger says was missed."""
    ordered = tuple(sorted(dict(points).items()))
    known = [reason for reason in reasons if reason.until >= since and reason.since <= until]
    seconds = [second for second, _ in ordered]
    holes = [
        hole
        for (before, after), (usual, long) in zip(pairwise(seconds), _around(seconds), strict=True)
        if (hole := _hole(before, after, usual, long, known))
    ]
    if not seconds:
        return Series(sensor, (), tuple(known))
    first = [reason for reason in known if reason.until < seconds[0]]
    last = [reason for reason in known if reason.since > seconds[-1]]
    ends = [
        *([_joined(max(since, first[0].since), seconds[0], first)] if first else []),
        *holes,
        *([_joined(seconds[-1], min(until, last[-1].until), last)] if last else []),
    ]
    return Series(sensor, ordered, tuple(ends))


def _around(seconds: Sequence[int]) -> Iterator[tuple[float, float]]:
    """For each interval the middle one of those around it, and a long one of them."""
    intervals = [after - before for before, after in pairwise(seconds)]
    for place in range(len(intervals)):
        near = sorted(intervals[max(place - NEIGHBOURS, 0) : place] + intervals[place + 1 : place + 1 + NEIGHBOURS])
        yield (near[len(near) // 2], near[len(near) * 4 // 5]) if near else (intervals[0], intervals[0])


def _hole(before: int, after: int, usual: float, long: float, known: Sequence[Hole]) -> Hole | None:
    length = after - before
    if length <= EXPLAINED * usual:
        return None
    why = [reason for reason in known if reason.since < after and reason.until > before]
    if why:
        return _joined(before, after, why)
    return Hole(before, after, UNKNOWN) if length > UNEXPLAINED * long else None


def _joined(since: int, until: int, reasons: Sequence[Hole]) -> Hole:
    """One hole for several reasons, each named once."""
    why = ", ".join(dict.fromkeys(reason.why for reason in reasons))
    return Hole(since, until, why, sum(reason.count for reason in reasons))
