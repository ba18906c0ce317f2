"""The daemon's state for others to read: one JSON file under /run, replaced whole, that says which process wrote it."""

import json
import logging
import os
from pathlib import Path
from typing import Any, Final

log = logging.getLogger(__name__)

RUN_DIRECTORY: Final = Path("run/sensor-agent")
STARTED: Final = 19  # place of `starttime` after the command's name in /proc/PID/stat, proc_pid_stat(5)


class StatusFile:
    """Writes `status.json` in the run directory. One that cannot be made or written costs the status, not the daemon."""

    def __init__(self, root: Path) -> None:
        self.directory = root / RUN_DIRECTORY
        self._writer = {"pid": os.getpid(), "pid_started": _started(os.getpid())}
        self._trouble = ""

    def write(self, status: dict[str, Any]) -> None:
        """Replace the status; the directory is a tmpfs, so nothing is synced."""
        fresh = self.directory / "status.json.new"
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o755)
            fresh.write_text(json.dumps(status | self._writer, ensure_ascii=False, allow_nan=False), encoding="utf-8")
            fresh.chmod(0o644)  # whatever the umask; nothing in here is secret
            fresh.replace(self.directory / "status.json")
            self._trouble = ""
        except OSError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.warning("status cannot be written", extra={"FILE": str(self.directory), "ERROR": self._trouble})


def read(root: Path) -> tuple[dict[str, Any], bool] | None:
    """The last status and whether its daemon is alive; None if no daemon has ever written one since boot.

    Raises OSError if the file cannot be read, ValueError if it is not a status.
    """
    file = root / RUN_DIRECTORY / "status.json"
    try:
        status = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if not isinstance(status, dict):
        raise ValueError(f"{file}: is not a status")  # noqa: TRY004 - the content, not a type
    pid = status.get("pid")
    return status, isinstance(pid, int) and _lives(pid, status.get("pid_started"))


def _lives(pid: int, started: object) -> bool:
    """Whether it is that process; where /proc hides those of others (hidepid), whether there is any of the number."""
    found = _started(pid)
    if found is not None or _started(1) is not None:
        return found == started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _started(pid: int) -> int | None:
    """When the process began, in clock ticks since boot; a number that was given again belongs to a later one.

    Not a lock: whoever may read a lock file may hold its lock too, and would keep the daemon from starting.
    """
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[STARTED])
    except OSError:
        return None
