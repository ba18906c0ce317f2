"""Where enrollment keeps keys and certificates: root's own directory, switched from pair to pair in one rename.

    DIR/lock                                  one enrollment at a time
    DIR/pending/{key,request,certificate}.pem a request under way: the same key and request after a lost answer
    DIR/gen/000001/{key.pem,cert.pem,meta.json}
    DIR/current -> gen/000001
    DIR/told.json                             which warnings of an expiry were given
    DIR/refused                               by sensor-agent-enroll.service: with which token, as a hash

The order everywhere is write, sync the file, sync the directory, rename, sync the directory: a power cut leaves
the old pair or the new one, never a mixture.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from agent.errors import ENROLL, CannotWrite, ConfigError, TryLater
from agent.identity_store.files import link, make_directory, sync_directory, write_synced, writing
from agent.identity_store.request import PendingRequest

KEPT_GENERATIONS: Final = 3  # the current one and two to go back to


class IdentityStore:
    """One device's identity. The methods that write raise CannotWrite, and then nothing was switched."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.request = PendingRequest(directory / "pending")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store for this process; raises TryLater if another enrollment has it."""
        with writing(self.directory):
            make_directory(self.directory, mode=0o700)
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

    def commit(self, *, key: bytes, certificate: bytes, meta: Mapping[str, object]) -> Path:
        """Make the pair the current one; gives its generation's directory. The request under way stays."""
        generations = self.directory / "gen"
        with writing(self.directory):
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

    def generations(self) -> list[Path]:
        """Every pair that is kept, the oldest first; empty where the store may not be looked into."""
        try:
            return sorted(path for path in (self.directory / "gen").iterdir() if path.name.isdecimal())
        except OSError:
            return []

    def current(self) -> Path | None:
        """The generation in force; None if there is none."""
        try:
            target = self.directory / (self.directory / "current").readlink()
        except OSError:
            return None
        return target if target in self.generations() else None

    def earlier(self) -> list[Path]:
        """The generations before the one in force, the latest first; all of them where it is not known which that was."""
        try:
            current = (self.directory / "current").readlink().name
        except OSError:
            return self.generations()[::-1]
        return [each for each in reversed(self.generations()) if each.name < current]

    def rebind(self, certificate: bytes) -> None:
        """Replace the file of the certificate in force by one that says the same of another board."""
        current = self.current()
        if current is not None:
            with writing(current):
                write_synced(current / "cert.pem", certificate, mode=0o644)
                sync_directory(current)
            self.switch(current)  # to itself: what watches the store sees no deeper

    def switch(self, generation: Path) -> None:
        """Make a generation that is kept the one in force."""
        with writing(self.directory):
            link(self.directory / "current", Path("gen") / generation.name)

    def meta(self) -> dict[str, Any]:
        """What was noted of the pair in force; empty if nothing can be read."""
        return _object(self.directory / "current" / "meta.json")

    @contextmanager
    def trial(self, *, certificate: bytes, key: bytes) -> Iterator[tuple[str, str]]:
        """Two files with these for `ssl` to load; gone afterwards."""
        trial = self.directory / "trial"
        try:
            with writing(trial):
                trial.mkdir(mode=0o700, exist_ok=True)
                write_synced(trial / "key.pem", key)
                write_synced(trial / "cert.pem", certificate)
            yield str(trial / "cert.pem"), str(trial / "key.pem")
        finally:
            shutil.rmtree(trial, ignore_errors=True)

    def told(self) -> dict[str, Any]:
        """What `tell` kept; empty at first."""
        return _object(self.directory / "told.json")

    def tell(self, told: Mapping[str, object]) -> None:
        """Keep which warnings were given, so that none is given twice."""
        with writing(self.directory):
            write_synced(self.directory / "told.json", json.dumps(told).encode())

    def reset(self, cert_file: Path, key_file: Path) -> list[Path]:
        """Remove every key and certificate of this store and the links that lead to them; gives what went.

        Files of somebody else at the two places stay, and links on a read-only /etc, which lead nowhere then. Cut off
        anywhere, running it again goes on.
        """
        gone = []
        for name in ("current", "pending", "pending.done", "trial", "gen", "told.json", "refused"):
            path = self.directory / name
            if not path.is_symlink() and not path.exists():
                continue
            with writing(path):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
                sync_directory(self.directory)
            gone.append(path)
        for place in (cert_file, key_file):
            if self.leads_here(place):
                with suppress(OSError):
                    place.unlink()
                    sync_directory(place.parent)
                    gone.append(place)
        return gone

    def check_places(self, cert_file: Path, key_file: Path, *, make: bool = True) -> None:
        """That the two names can be made links into the store, before anything is asked of an issuer.

        `make` makes the directories they stand in. Raises ConfigError if one is a file of somebody else, CannotWrite if its directory cannot be written.
        """
        for place, target in ((cert_file, "cert.pem"), (key_file, "key.pem")):
            with writing(place.parent):  # who is not root may not even look
                if self._placed(place, target):
                    continue
                if (place.exists() or place.is_symlink()) and not self.leads_here(place):
                    raise ConfigError(
                        f"{place} was put there by somebody else and is never overwritten",
                        hint=f"sudo mv {place} {place}.old; {ENROLL}",
                    )
                if make:
                    make_directory(place.parent, mode=0o755 if place is cert_file else 0o700)
                there = next(parent for parent in place.parents if parent.exists())
            if not os.access(there, os.W_OK):
                raise CannotWrite(f"{there} cannot be written", hint=f"run as root; findmnt -T {there}")

    def place(self, cert_file: Path, key_file: Path) -> None:
        """Make the two names links through `current`; the certificate last, because it is what others watch."""
        for name, target in ((key_file, "key.pem"), (cert_file, "cert.pem")):
            if self._placed(name, target):  # made by an image builder, for a read-only /etc
                continue
            with writing(name.parent):
                link(name, self.directory / "current" / target)

    def _placed(self, place: Path, target: str) -> bool:
        return place.is_symlink() and place.readlink() == self.directory / "current" / target

    def leads_here(self, place: Path) -> bool:
        """Whether the name is a link into this store."""
        return place.is_symlink() and place.readlink().is_relative_to(self.directory)


def _object(file: Path) -> dict[str, Any]:
    """What the file holds as JSON; empty if that cannot be read or is no object."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
