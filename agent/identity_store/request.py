"""The request under way, which a switch to its certificate ends: key, request, and what has come of them so far."""

import shutil
from pathlib import Path

from agent.errors import CannotWrite
from agent.identity_store.files import sync_directory, write_synced, writing


class PendingRequest:
    """Its parts, a file each. The methods that write raise CannotWrite."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def part(self, name: str) -> bytes | None:
        """What was kept under that name."""
        try:
            return (self.directory / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CannotWrite(f"{self.directory / name} cannot be read: {error.strerror}") from error

    def stage(self) -> str | None:
        """How far it has come: `keyed`, `waiting`, `issued`; None if there is none to be seen."""
        try:
            names = {path.name for path in self.directory.iterdir()}
        except OSError:
            return None
        stages = (("certificate.pem", "issued"), ("asked.json", "waiting"), ("wanted.json", "keyed"))
        return next((stage for name, stage in stages if name in names), None)

    def keep(self, name: str, data: bytes) -> None:
        """Keep a part, on disk when this returns; 0600 from its first byte."""
        with writing(self.directory):
            self.directory.mkdir(mode=0o700, exist_ok=True)
            write_synced(self.directory / name, data)
            sync_directory(self.directory)
            sync_directory(self.directory.parent)

    def forget(self) -> None:
        """Drop all of it or nothing; the next enrollment makes a new key."""
        done = self.directory.with_name("pending.done")
        with writing(self.directory.parent):
            shutil.rmtree(done, ignore_errors=True)
            if self.directory.exists():
                self.directory.rename(done)
                sync_directory(self.directory.parent)
                shutil.rmtree(done, ignore_errors=True)
