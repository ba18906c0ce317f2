"""What a power cut may leave of a directory: a disk that promises nothing but what was synced.

Of the writes since the last sync of a file each 512-byte sector is there, is not there, or is torn; with
`collateral`, the 4 KiB block around a write in flight may be noise from end to end, as a card leaves it that
erases before it writes. Only the names before a sync of the directory are sure; the later ones change in their order,
as with ext4, or (`any_order`) each or not, as POSIX allows.
"""

import random
from collections.abc import Sequence
from pathlib import Path

from power.recorded import Event, Mark, Name, Sync, Write

SECTOR, BLOCK = 512, 4096


class Disk:
    """Plays events, and at any moment shows a possible state after a cut."""

    def __init__(self) -> None:
        self._safe: dict[int, bytearray] = {}
        self._in_flight: dict[int, list[Write]] = {}
        self._names: dict[str, int] = {}
        self._naming: list[Name] = []

    def play(self, event: Event) -> None:
        match event:
            case Write():
                self._in_flight.setdefault(event.inode, []).append(event)
            case Sync(inode=0):
                _rename(self._names, self._naming)
                self._naming = []
            case Sync(inode=inode):
                for write in self._in_flight.pop(inode, []):
                    _apply(self._safe.setdefault(inode, bytearray()), write)
            case Name():
                self._naming.append(event)
            case Mark():
                pass

    def cut(self, chance: random.Random, directory: Path, *, collateral: bool, any_order: bool = False) -> None:
        """Write one possible state into the directory."""
        names = dict(self._names)
        if any_order:
            _rename(names, [change for change in self._naming if chance.random() < 0.5])
        else:
            _rename(names, self._naming[: chance.randint(0, len(self._naming))])
        for name, inode in names.items():
            (directory / name).write_bytes(self.contents(inode, chance, collateral=collateral))

    def contents(self, inode: int, chance: random.Random, *, collateral: bool) -> bytes:
        """What the cut may leave of one file."""
        data = bytearray(self._safe.get(inode, b""))
        flight = self._in_flight.get(inode, [])
        kept = chance.choice((0.0, 0.5, 0.9, 1.0))
        for write in flight:
            for part in _sectors(write):
                if chance.random() < kept:
                    torn = part.data is not None and chance.random() < 0.05
                    _apply(data, _tear(part, chance) if torn else part)
        if collateral:
            for block in sorted({part.offset // BLOCK for write in flight if write.data for part in _sectors(write)}):
                if chance.random() < 0.3:
                    end = min(BLOCK, max(len(data) - block * BLOCK, 0))
                    data[block * BLOCK : block * BLOCK + end] = chance.randbytes(end)
        return bytes(data)


def _rename(names: dict[str, int], changes: Sequence[Name]) -> None:
    for change in changes:
        for name, inode in change.names:
            if inode is None:
                names.pop(name, None)
            else:
                names[name] = inode


def _apply(data: bytearray, write: Write) -> None:
    if write.data is None:
        del data[write.offset :]
        return
    if len(data) < write.offset:
        data.extend(bytes(write.offset - len(data)))
    data[write.offset : write.offset + len(write.data)] = write.data


def _sectors(write: Write) -> list[Write]:
    if write.data is None:
        return [write]
    edges = [write.offset, *range(write.offset // SECTOR * SECTOR + SECTOR, write.offset + len(write.data), SECTOR)]
    ends = [*edges[1:], write.offset + len(write.data)]
    return [
        Write(write.inode, begin, write.data[begin - write.offset : end - write.offset])
        for begin, end in zip(edges, ends, strict=True)
    ]


def _tear(write: Write, chance: random.Random) -> Write:
    data = write.data or b""
    return Write(write.inode, write.offset, data[: chance.randint(0, len(data))])
