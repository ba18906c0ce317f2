"""The daemon's state for others to read: one JSON file under /run, replaced whole, and a lock that says who is alive."""

import fcntl
import json
import logging
import os
from pathlib import Path
from typing import Any, Final

from agent.errors import TryLater

log = logging.getLogger(__name__)

RUN_DIRECTORY: Final = Path("run/sensor-agent")


class StatusFile:
    """Writes `status.json` in the run directory, for as long as it holds the directory's lock.

    A directory that cannot be made or written costs the status, not the daemon. Raises TryLater if another
    daemon holds the lock.
    """

    def __init__(self, root: Path) -> None:
        self.directory = root / RUN_DIRECTORY
        self._lock: int | None = None
        self._trouble = ""
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o755)
            self._lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            self._complain(error)
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise TryLater(
                f"{self.directory}: another sensor-agent is running", hint="systemctl status sensor-agent"
            ) from error

    def write(self, status: dict[str, Any]) -> None:
        """Replace the status; the directory is a tmpfs, so nothing is synced."""
        if self._lock is None:
            return
        fresh = self.directory / "status.json.new"
        try:
            fresh.write_text(json.dumps(status, ensure_ascii=False, allow_nan=False), encoding="utf-8")
            fresh.chmod(0o644)  # the unit's umask is tighter; nothing in here is secret
            fresh.replace(self.directory / "status.json")
            self._trouble = ""
        except OSError as error:
            self._complain(error)

    def close(self) -> None:
        """Let go of the lock; the file stays, for `status` to say what was last seen."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _complain(self, error: OSError) -> None:
        if str(error) != self._trouble:
            self._trouble = str(error)
            log.warning("status cannot be written", extra={"FILE": str(self.directory), "ERROR": self._trouble})


def read(root: Path) -> tuple[dict[str, Any], bool] | None:
    """The last status and whether its daemon is alive; None if no daemon has ever written one since boot.

    Raises OSError if the file cannot be read, ValueError if it is not a status.
    """
    directory = root / RUN_DIRECTORY
    try:
        status = json.loads((directory / "status.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if not isinstance(status, dict):
        raise ValueError(f"{directory / 'status.json'}: is not a status")  # noqa: TRY004 - the content, not a type
    return status, _locked(directory / "lock")


def _locked(lock: Path) -> bool:
    """Whether a process holds the lock: unlike a process id, it cannot belong to somebody else meanwhile."""
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
