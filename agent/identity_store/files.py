"""Files and links that are whole and on disk, or not there: write, sync, rename, sync the directory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import CannotWrite


def write_synced(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace the file with data that is on disk when this returns; its mode holds from the first byte."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)
    fresh.rename(path)


def link(name: Path, target: Path) -> None:
    """Make or repoint a symbolic link in one rename, on disk when this returns."""
    fresh = name.with_name(name.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.rename(name)
    sync_directory(name.parent)


def make_directory(directory: Path, *, mode: int) -> None:
    """Make the directory and those it stands in, where they are not there yet; their names are on disk when this returns."""
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    directory.mkdir(mode=mode, parents=True, exist_ok=True)
    for each in missing:
        sync_directory(each.parent)


def sync_directory(directory: Path) -> None:
    """Put the directory's names on disk."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def writing(where: Path) -> Iterator[None]:
    """What the system refuses within is a CannotWrite."""
    try:
        yield
    except OSError as error:
        raise CannotWrite(
            f"{error.filename or where} cannot be written: {error.strerror}",
            hint=f"run as root; df {where}; findmnt -T {where}",
        ) from error
