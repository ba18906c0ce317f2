"""What is not in force yet: the request under way, and a pair that is tried out."""

import shutil
from pathlib import Path

from agent.errors import CannotWrite
from agent.identity_store.files import sync_directory, write_synced, writing


class UnderWay:
    """The part of a store that a switch empties. The methods that write raise CannotWrite."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._pending = directory / "pending"

    def pending(self, name: str) -> bytes | None:
        """What was kept under that name of the request under way."""
        try:
            return (self._pending / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CannotWrite(f"{self._pending / name} cannot be read: {error.strerror}") from error

    def stage(self) -> str | None:
        """How far the request under way has come: `keyed`, `waiting`, `issued`; None if there is none to be seen."""
        try:
            names = {path.name for path in self._pending.iterdir()}
        except OSError:
            return None
        stages = (("certificate.pem", "issued"), ("asked.json", "waiting"), ("wanted.json", "keyed"))
        return next((stage for name, stage in stages if name in names), None)

    def keep(self, name: str, data: bytes) -> None:
        """Keep a part of the request under way, on disk when this returns; 0600 from its first byte."""
        with writing(self._pending):
            self._pending.mkdir(mode=0o700, exist_ok=True)
            write_synced(self._pending / name, data)
            sync_directory(self._pending)
            sync_directory(self.directory)

    def forget_pending(self) -> None:
        """Drop the request under way, all of it or nothing; the next enrollment makes a new key."""
        done = self.directory / "pending.done"
        with writing(self.directory):
            shutil.rmtree(done, ignore_errors=True)
            if self._pending.exists():
                self._pending.rename(done)
                sync_directory(self.directory)
                shutil.rmtree(done, ignore_errors=True)

    def try_out(self, *, certificate: bytes, key: bytes) -> tuple[str, str]:
        """Two files with these for `ssl` to load; gone with `forget_trial`, or with the next request."""
        trial = self.directory / "trial"
        with writing(trial):
            trial.mkdir(mode=0o700, exist_ok=True)
            write_synced(trial / "key.pem", key)
            write_synced(trial / "cert.pem", certificate)
        return str(trial / "cert.pem"), str(trial / "key.pem")

    def forget_trial(self) -> None:
        """Remove what `try_out` wrote."""
        shutil.rmtree(self.directory / "trial", ignore_errors=True)
