"""The same as `recorded` and `cuts` for a tree: directories are made and synced one by one, and there are links.

A directory that was synced keeps its names, but it is gone itself if the directory it stands in was not.
"""

import itertools
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from power.cuts import Disk
from power.recorded import Mark, Sync, Write, trace

ROOT = 1
CALLS = "openat,write,fsync,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,symlink,symlinkat"
_LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
_FD = re.compile(r"^(\d+|AT_FDCWD)<(.*?)>")


@dataclass(frozen=True, slots=True)
class Made:
    """A new directory, or a symbolic link if it has a target. Neither is seen before it has a name."""

    inode: int
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """Names in one directory that now lead to an inode, or to nothing. A rename is one event with two names."""

    directory: int
    names: tuple[tuple[str, int | None], ...]


Event = Write | Sync | Made | Names | Mark


def record(script: str, directory: Path, log: Path, *arguments: str) -> list[Event]:
    """The events of a Python process that runs the script with the directory, empty as yet, as its argument."""
    trace(script, directory, log, CALLS, *arguments)
    with log.open() as lines:
        return list(_Tree(str(directory)).events(lines))


class _Tree:
    """The tree as the process saw it, to know which inode a path meant."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._inside: dict[int, dict[str, int]] = {ROOT: {}}
        self._numbers = itertools.count(ROOT + 1)

    def events(self, lines: Iterator[str]) -> Iterator[Event]:
        for line in lines:
            found = _LINE.match(line)
            if found is not None and int(found[3]) >= 0:
                yield from self._of_call(found[1], found[2])

    def _of_call(self, call: str, arguments: str) -> Iterator[Event]:
        fd, paths = _paths(arguments)
        if call in {"write", "fsync"}:
            if call == "write" and arguments.startswith("1<"):
                yield Mark(paths[0].removeprefix(f"{fd}/").strip())
            inode = self._inode(fd)
            if inode is not None:
                yield Sync(inode) if call == "fsync" else Write(inode, 0, _bytes(arguments.split(", ")[1]))
            return
        directory, name = self._place(paths[-1])
        if directory is None:
            return
        if call == "openat":
            if "O_CREAT" in arguments and name not in self._inside[directory]:
                yield self._named(directory, (name, next(self._numbers)))
        elif call.startswith(("mkdir", "symlink")):
            inode = next(self._numbers)
            if call.startswith("mkdir"):
                self._inside[inode] = {}
            yield Made(inode, None if inode in self._inside else _quoted(arguments)[0])
            yield self._named(directory, (name, inode))
        elif call.startswith("rename"):
            before, old = self._place(paths[0])
            assert before == directory, "a rename from directory to directory is more than this plays"
            yield self._named(directory, (old, None), (name, self._inside[directory][old]))
        else:
            yield self._named(directory, (name, None))

    def _named(self, directory: int, *names: tuple[str, int | None]) -> Names:
        _rename(self._inside, Names(directory, names))
        return Names(directory, names)

    def _place(self, path: str) -> tuple[int | None, str]:
        above, name = os.path.split(path)
        return self._inode(above), name

    def _inode(self, path: str) -> int | None:
        if path != self._directory and not path.startswith(self._directory + "/"):
            return None
        inode: int | None = ROOT
        for name in Path(path).relative_to(self._directory).parts:
            inode = self._inside.get(inode, {}).get(name) if inode is not None else None
        return inode


class TreeDisk:
    """Plays events, and at any moment shows a possible state after a cut."""

    def __init__(self) -> None:
        self._files = Disk()
        self._made: dict[int, str | None] = {ROOT: None}
        self._sure: dict[int, dict[str, int]] = {}
        self._naming: list[Names] = []

    def play(self, event: Event) -> None:
        match event:
            case Made():
                self._made[event.inode] = event.target
            case Names():
                self._naming.append(event)
            case Sync(inode=inode) if inode in self._made:
                for change in self._naming:
                    if change.directory == inode:
                        _rename(self._sure, change)
                self._naming = [change for change in self._naming if change.directory != inode]
            case _:
                self._files.play(event)

    def cut(self, chance: random.Random, directory: Path, *, collateral: bool, any_order: bool) -> None:
        """Write one possible state into the directory, an empty one."""
        inside = {inode: dict(names) for inode, names in self._sure.items()}
        if any_order:
            kept = [change for change in self._naming if chance.random() < 0.5]
        else:
            kept = self._naming[: chance.randint(0, len(self._naming))]
        for change in kept:
            _rename(inside, change)
        places = [(directory, ROOT)]
        for above, number in places:
            for name, inode in inside.get(number, {}).items():
                target = self._made.get(inode)
                if target is not None:
                    (above / name).symlink_to(target)
                elif inode in self._made:
                    (above / name).mkdir()
                    places.append((above / name, inode))
                else:
                    (above / name).write_bytes(self._files.contents(inode, chance, collateral=collateral))


def _rename(inside: dict[int, dict[str, int]], change: Names) -> None:
    there = inside.setdefault(change.directory, {})
    for name, inode in change.names:
        if inode is None:
            there.pop(name, None)
        else:
            there[name] = inode


def _paths(arguments: str) -> tuple[str, list[str]]:
    """The path of the (last) descriptor, and each string as a path from the descriptor before it."""
    base, paths = "", []
    for part in arguments.split(", "):
        if found := _FD.match(part):
            base = _bytes(found[2]).decode()
        elif part.startswith('"'):
            paths.append(str(Path(base) / os.fsdecode(_bytes(part))))
    return base, paths


def _quoted(arguments: str) -> list[str]:
    return [os.fsdecode(_bytes(part)) for part in arguments.split(", ") if part.startswith('"')]


def _bytes(shown: str) -> bytes:
    """What `-xx` wrote in hex; a path it may have left as it is."""
    shown = shown.strip('"')
    return bytes.fromhex(shown.replace("\\x", "")) if shown.startswith("\\x") else shown.encode()
