"""What a process did to a directory, write by write, as strace(1) saw it."""

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CALLS = "openat,pwrite64,write,fsync,fdatasync,ftruncate,rename,renameat,renameat2,unlink,unlinkat,link,linkat,mkdir"
_LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
_FD = re.compile(r"^(\d+)<(.*?)>(?:\(deleted\))?$")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes given to the file of that inode; None cuts it to `offset`."""

    inode: int
    offset: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Sync:
    """Everything written to the inode before is on disk; 0 is the directory: then the names are."""

    inode: int


@dataclass(frozen=True, slots=True)
class Name:
    """A name now leads to that inode, or to nothing (None). A rename is one event with two names."""

    names: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A line that the process printed: what it believed to be safe from then on."""

    text: str


Event = Write | Sync | Name | Mark


def record(script: str, directory: Path, log: Path, *arguments: str) -> list[Event]:
    """The events of a Python process that runs the script with the directory as its argument.

    What is in the directory before is the first of them, and safe.
    """
    inodes: dict[str, int] = {}
    before = list(_there(directory, inodes))
    trace(script, directory, log, CALLS, *arguments)
    with log.open() as lines:
        return before + list(_events(lines, str(directory), inodes))


def trace(script: str, directory: Path, log: Path, calls: str, *arguments: str) -> None:
    """Run the Python script with the directory as its argument; its system calls of those names go to the log."""
    environ = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        [
            *("strace", "-y", "-xx", "-s", "100000000", "-o", str(log), "-e", f"trace={calls}"),
            *(sys.executable, "-c", script, str(directory), *arguments),
        ],
        env=environ,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,  # of a quarantine is told there
    )


def _there(directory: Path, inodes: dict[str, int]) -> Iterator[Event]:
    for number, file in enumerate(sorted(directory.iterdir()), start=1):
        inodes[file.name] = number
        yield Name(((file.name, number),))
        yield Write(number, 0, file.read_bytes())
        yield Sync(number)
    yield Sync(0)


def _events(lines: Iterator[str], directory: str, inodes: dict[str, int]) -> Iterator[Event]:
    made = itertools.count(len(inodes) + 1)
    for line in lines:
        found = _LINE.match(line)
        if found is None or int(found[3]) < 0:
            continue
        call, arguments = found[1], found[2]
        strings = [bytes.fromhex(text.replace("\\x", "")) for text in _STRING.findall(arguments)]
        fd = _FD.match(arguments.split(", ")[0])
        if call in {"write", "pwrite64", "ftruncate", "fsync", "fdatasync"} and fd is not None:
            if call == "write" and fd[1] == "1":
                yield Mark(strings[0].decode().strip())
            path = _inside(_plain(fd[2]), directory)
            inode = 0 if path == "." else inodes.get(path)
            if inode is not None:
                yield _of_file(call, inode, arguments, strings)
            continue
        names = [_inside(os.fsdecode(text), directory) for text in strings]
        if call == "openat" and names[0] and "O_CREAT" in arguments and names[0] not in inodes:
            inodes[names[0]] = next(made)
            yield Name(((names[0], inodes[names[0]]),))
        elif call.startswith("rename"):
            inodes[names[1]] = inodes.pop(names[0])
            yield Name(((names[0], None), (names[1], inodes[names[1]])))
        elif call.startswith("link"):
            inodes[names[1]] = inodes[names[0]]
            yield Name(((names[1], inodes[names[1]]),))
        elif call.startswith("unlink") and inodes.pop(names[0], None) is not None:
            yield Name(((names[0], None),))


def _of_file(call: str, inode: int, arguments: str, strings: list[bytes]) -> Event:
    last = arguments.rsplit(", ", 1)[-1]
    match call:
        case "pwrite64":
            return Write(inode, int(last), strings[-1])
        case "write":  # ours write from the start of a file, once
            return Write(inode, 0, strings[-1])
        case "ftruncate":
            return Write(inode, int(last), None)
        case _:
            return Sync(inode)


def _plain(shown: str) -> str:
    """A path of `-y`, which `-xx` writes in hex too."""
    return bytes.fromhex(shown.replace("\\x", "")).decode() if shown.startswith("\\x") else shown


def _inside(path: str, directory: str) -> str:
    """The name within the directory, "." for the directory itself, empty for what lies elsewhere."""
    if path == directory:
        return "."
    return path.removeprefix(directory + "/") if path.startswith(directory + "/") else ""
