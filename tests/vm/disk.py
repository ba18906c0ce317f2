"""A disk that promises nothing but what was flushed; pure.

At a cut, of the writes since the last flush each 512-byte sector is there or is not: none, some or all of them, as chance
has it. One that lies keeps no flush at all, and loses something at each cut.
"""

import random
from dataclasses import dataclass, field
from typing import Final

SECTOR: Final = 512
KEPT: Final = (0.0, 0.5, 0.9, 1.0)  # shares of the sectors that reach the medium all the same


@dataclass(slots=True)
class Disk:
    """Sizes and offsets in bytes. `pending` is what a cut may take; `flushes` counts."""

    size: int
    lies: bool = False
    pending: list[tuple[int, bytes]] = field(default_factory=list)
    flushes: int = 0
    _seen: bytearray = field(init=False)
    _safe: bytearray = field(init=False)

    def __post_init__(self) -> None:
        self._seen, self._safe = bytearray(self.size), bytearray(self.size)

    def fill(self, content: bytes) -> None:
        """Put it there from the start, as at a factory."""
        self._seen[: len(content)] = self._safe[: len(content)] = content

    def read(self, offset: int, length: int) -> bytes:
        """What the machine believes to be there."""
        return bytes(self._seen[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        """Into the disk's own memory."""
        self._seen[offset : offset + len(data)] = data
        self.pending.append((offset, data))

    def flush(self) -> None:
        """Onto the medium."""
        self.flushes += 1
        if not self.lies:
            for offset, data in self.pending:
                self._safe[offset : offset + len(data)] = data
            self.pending.clear()

    def cut(self, chance: random.Random) -> tuple[int, int]:
        """The power goes, and comes back: how many sectors were at stake, and how many of them are there."""
        kept = chance.choice(KEPT[:-1] if self.lies else KEPT)
        sectors = [
            (offset + at, data[at : at + SECTOR]) for offset, data in self.pending for at in range(0, len(data), SECTOR)
        ]
        survivors = [each for each in sectors if chance.random() < kept]
        for offset, data in survivors:
            self._safe[offset : offset + len(data)] = data
        self.pending.clear()
        self._seen[:] = self._safe
        return len(sectors), len(survivors)
