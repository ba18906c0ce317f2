"""The counts to compare with: those of instructions.json where they fit, else those of the commit that wrote it, taken anew.

Another interpreter, libc or library counts otherwise for the same code, by more than what a change is allowed. So the
file says under what it was written; elsewhere its own commit is unpacked and counted by its own script.
"""

import json
import os
import platform
import sqlite3
import ssl
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class Counts:
    """Instructions by what was done, and under what they were counted."""

    under: str
    instructions: dict[str, int]

    def text(self) -> str:
        """As it stands in the file."""
        return json.dumps({"under": self.under, "instructions": self.instructions}, indent=2) + "\n"


def parsed(text: str) -> Counts:
    """The counts of such a text."""
    found = json.loads(text)
    return Counts(found["under"], found["instructions"])


def under() -> str:
    """What the counts of this process's children depend on, beside the code."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("requests", "urllib3"))
    return (
        f"Python {platform.python_version()} ({platform.python_compiler()}) on {platform.machine()},"
        f" {' '.join(platform.libc_ver())}, {' '.join(ssl.OPENSSL_VERSION.split()[:2])},"
        f" SQLite {sqlite3.sqlite_version}, {libraries}"
    )


def baseline(file: Path, script: Path) -> Counts:
    """Of the file, if it was written under what runs now; else of the commit that wrote it, by its own script.

    Raises RuntimeError if that commit is not there.
    """
    known = parsed(file.read_text())
    if known.under == under():
        return known
    root = Path(_git(file.parent, "rev-parse", "--show-toplevel").decode().strip())
    with tempfile.TemporaryDirectory() as directory:
        unpack(root, writer(root, file), Path(directory))
        command = [sys.executable, str(Path(directory) / script.relative_to(root)), "--json"]
        environ = os.environ | {"PYTHONPATH": directory}
        done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the script of the commit that wrote {file.name} ended with {done.returncode}")
    return parsed(done.stdout)


def writer(root: Path, file: Path) -> str:
    """The commit that changed the file last. Raises RuntimeError where history ends before it."""
    if _git(root, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise RuntimeError(
            f"{file.name} was written elsewhere, and its commit is not in this clone: git fetch --unshallow"
        )
    commit = _git(root, "log", "-1", "--format=%H", "--", str(file)).decode().strip()
    if not commit:
        raise RuntimeError(f"{file.name} was written elsewhere, and is in no commit: make instructions WRITE=1")
    return commit


def unpack(root: Path, commit: str, directory: Path) -> None:
    """The files of the commit."""
    subprocess.run(["tar", "-x", "-C", str(directory)], input=_git(root, "archive", commit), check=True)


def grown(before: Counts, now: Counts) -> list[str]:
    """What takes more instructions than before, by more than the tolerance; what is new has not grown."""
    return [
        name
        for name, count in now.instructions.items()
        if count > before.instructions.get(name, count) * (1 + TOLERANCE)
    ]


def _git(root: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(root), *arguments], check=True, stdout=subprocess.PIPE).stdout
