"""Where enrollment keeps keys and certificates: root's own directory, switched from pair to pair in one rename.

    DIR/lock                                  one enrollment at a time
    DIR/pending/{key,request,certificate}.pem a request under way: the same key and request after a lost answer
    DIR/gen/000001/{key.pem,cert.pem,meta.json}
    DIR/current -> gen/000001

The order everywhere is write, sync the file, sync the directory, rename, sync the directory: a power cut leaves
the old pair or the new one, never a mixture.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from agent.errors import CannotWrite, ConfigError, TryLater

KEPT_GENERATIONS: Final = 3  # the current one and two to go back to


class IdentityStore:
    """One device's identity. The methods that write raise CannotWrite, and then nothing was switched."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._pending = directory / "pending"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store for this process; raises TryLater if another enrollment has it."""
        with _writing(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise TryLater(
                    f"another enrollment is at work in {self.directory}", hint="wait for it, then run enroll again"
                ) from error
            yield
        finally:
            os.close(fd)

    def pending(self, name: str) -> bytes | None:
        """What was kept under that name of the request under way."""
        try:
            return (self._pending / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CannotWrite(f"{self._pending / name} cannot be read: {error.strerror}") from error

    def keep(self, name: str, data: bytes) -> None:
        """Keep a part of the request under way, on disk when this returns; 0600 from its first byte."""
        with _writing(self._pending):
            self._pending.mkdir(mode=0o700, exist_ok=True)
            write_synced(self._pending / name, data)
            sync_directory(self._pending)
            sync_directory(self.directory)

    def forget_pending(self) -> None:
        """Drop the request under way, all of it or nothing; the next enrollment makes a new key."""
        done = self.directory / "pending.done"
        with _writing(self.directory):
            shutil.rmtree(done, ignore_errors=True)
            if self._pending.exists():
                self._pending.rename(done)
                sync_directory(self.directory)
                shutil.rmtree(done, ignore_errors=True)

    def commit(self, *, key: bytes, certificate: bytes, meta: Mapping[str, object]) -> Path:
        """Make the pair the current one; gives its generation's directory. The request under way stays."""
        generations = self.directory / "gen"
        with _writing(self.directory):
            generations.mkdir(mode=0o700, exist_ok=True)
            number = max((int(path.name) for path in generations.iterdir() if path.name.isdecimal()), default=0) + 1
            target = generations / f"{number:06d}"
            staged = generations / f"{number:06d}.new"
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir(mode=0o700)
            write_synced(staged / "key.pem", key)
            write_synced(staged / "cert.pem", certificate, mode=0o644)
            write_synced(staged / "meta.json", json.dumps(meta, indent=1).encode(), mode=0o644)
            sync_directory(staged)
            staged.rename(target)
            sync_directory(generations)
            link(self.directory / "current", Path("gen") / target.name)
        for old in sorted(path for path in generations.iterdir() if path.name.isdecimal())[:-KEPT_GENERATIONS]:
            shutil.rmtree(old, ignore_errors=True)
        return target

    def check_places(self, cert_file: Path, key_file: Path, *, make: bool = True) -> None:
        """That the two names can be made links into the store, before anything is asked of an issuer.

        `make` makes the directories they stand in. Raises ConfigError if one is a file of somebody else, CannotWrite if its directory cannot be written.
        """
        for place in (cert_file, key_file):
            if (place.exists() or place.is_symlink()) and not self._is_ours(place):
                raise ConfigError(
                    f"{place} was put there by somebody else and is never overwritten",
                    hint=f"mv {place} {place}.old; sensor-agent enroll",
                )
            if make:
                with _writing(place.parent):
                    place.parent.mkdir(parents=True, exist_ok=True, mode=0o755 if place is cert_file else 0o700)
            there = next(parent for parent in place.parents if parent.exists())
            if not os.access(there, os.W_OK):
                raise CannotWrite(f"{there} cannot be written", hint=f"run as root; findmnt -T {there}")

    def place(self, cert_file: Path, key_file: Path) -> None:
        """Make the two names links through `current`; the certificate last, because it is what others watch."""
        for name, target in ((key_file, "key.pem"), (cert_file, "cert.pem")):
            with _writing(name.parent):
                link(name, self.directory / "current" / target)

    def _is_ours(self, place: Path) -> bool:
        return place.is_symlink() and place.readlink().is_relative_to(self.directory)


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


def sync_directory(directory: Path) -> None:
    """Put the directory's names on disk."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _writing(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CannotWrite(
            f"{error.filename or where} cannot be written: {error.strerror}",
            hint=f"run as root; df {where}; findmnt -T {where}",
        ) from error
