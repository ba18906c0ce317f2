"""A block of past readings: columns of differences, deflated; and how a stretch is thinned as it ages.

Pure. Measured on eight sensors every ten seconds: 2.3 bytes a reading, where a row of its own takes 28.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from agent.reading import Reading
from agent.record import dataclass
from agent.spool.row import Spooled

ROWS: Final = 512  # readings in a block; one costs the card about 13 KB, so 25 bytes a reading
WAIT_SECONDS: Final = 900  # for which they wait to be one at the most: as much of the past is lost with the power
UNWRITTEN: Final = 32  # blocks kept while no commit comes to take them along: 40 KB
BURST: Final = 4_096  # readings taken whole from one commit; a long drain's further ones are thinned at once


@dataclass(frozen=True, slots=True)
class Block:
    """`count` readings of the UTC seconds `since` to `until`, packed."""

    since: int
    until: int
    count: int
    body: bytes


def pack(rows: Sequence[Spooled]) -> Block:
    """The readings as one block; raises ValueError for none."""
    names = sorted({row.reading.sensor for row in rows})
    place = {name: number for number, name in enumerate(names)}
    last = dict.fromkeys(names, 0)
    millis = []
    for row in rows:
        reading = row.reading
        millis.append(reading.milli_celsius - last[reading.sensor])
        last[reading.sensor] = reading.milli_celsius
    seconds = [row.reading.unix_seconds for row in rows]
    columns = (
        names,
        _differences([row.seq for row in rows]),
        [place[row.reading.sensor] for row in rows],
        _differences(seconds),
        millis,
    )
    text = json.dumps(columns, ensure_ascii=False, separators=(",", ":"))
    return Block(min(seconds), max(seconds), len(rows), zlib.compress(text.encode(), 9))


def unpack(body: bytes) -> list[Spooled]:
    """The readings in a block's bytes; raises ValueError if they are damaged (zlib's checksum sees it)."""
    try:
        names, seqs, sensors, seconds, millis = json.loads(zlib.decompress(body))
    except zlib.error as error:
        raise ValueError(f"a block of past readings is damaged: {error}") from error
    last = [0] * len(names)
    rows = []
    for seq, sensor, second, milli in zip(accumulate(seqs), sensors, accumulate(seconds), millis, strict=True):
        last[sensor] += milli
        rows.append(Spooled(seq, Reading(names[sensor], last[sensor], second)))
    return rows


def thinned(rows: Iterable[Spooled], every_seconds: int) -> Iterator[Spooled]:
    """The first reading of each sensor in each stretch of so many seconds."""
    seen: dict[str, int] = {}
    for row in rows:
        stretch = row.reading.unix_seconds // every_seconds
        if seen.get(row.reading.sensor) != stretch:
            seen[row.reading.sensor] = stretch
            yield row


@dataclass(frozen=True, slots=True)
class Tail:
    """The youngest past: `rows` that fill no block yet, the first of them since the second `began`, and `full` blocks
    that no commit has taken along yet.
    """

    rows: tuple[Spooled, ...] = ()
    full: tuple[Block, ...] = ()
    began: int = 0

    def after(self, left: Iterable[Spooled], now: int) -> "Tail":
        """With readings that have just left, at the UTC second `now`. Of too many unwritten blocks the oldest go."""
        left = tuple(left)
        if not left and (not self.rows or now - self.began < WAIT_SECONDS):
            return self if self.rows or self.began == now else Tail((), self.full, now)
        rows, full = list(self.rows), list(self.full)
        began = self.began if rows else now
        for row in left:
            rows.append(row)
            if len(rows) >= ROWS:
                full.append(pack(rows))
                rows, began = [], now
        if rows and now - began >= WAIT_SECONDS:
            full.append(pack(rows))
            rows = []
        return Tail(tuple(rows), tuple(full[-UNWRITTEN:]), began)

    def closed(self) -> "Tail":
        """With its last rows in a block too."""
        return Tail((), (*self.full, pack(self.rows))) if self.rows else self

    @property
    def any(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.rows or self.full)

    def written(self) -> "Tail":
        """After a commit has taken the blocks along."""
        return Tail(self.rows, began=self.began)


def _differences(numbers: Sequence[int]) -> list[int]:
    return [now - before for before, now in zip((0, *numbers), numbers, strict=False)]
