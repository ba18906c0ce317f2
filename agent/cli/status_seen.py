"""The last status as it is to be judged now: a daemon that has gone, or has fallen silent, cannot say so itself."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from agent import status_file
from agent.cli.durations import ago, between
from agent.errors import AgentError

SILENT_SECONDS: Final = 120.0  # beyond two intervals: a tick may take 30 s, and a loaded board be as late again


class NoStatus(AgentError):
    """There is nothing to show."""

    exit_code = 2


def seen(root: Path, now: datetime, config: Path | None = None) -> dict[str, Any]:
    """The last status, judged at `now`. Raises NoStatus if there is none that can be read; where the file `config` is
    missing, with what makes it: a unit without one does not start, and does not say so.
    """
    try:
        found = status_file.read(root)
    except (OSError, ValueError) as error:
        raise NoStatus(f"the status cannot be read: {error}", hint="systemctl status sensor-agent") from error
    if found is None:
        from agent.config.files import missing  # here: a status that is there needs none of its 20 ms

        fix = "systemctl start sensor-agent (or: sensor-agent run)"
        if config and missing(config):
            fix = "sudo sensor-agent init --url URL"
        raise NoStatus("no daemon has run since boot", hint=fix)
    last, alive = found
    return judged(last, now, alive=alive)


def judged(last: Mapping[str, Any], now: datetime, *, alive: bool) -> dict[str, Any]:
    """The status with what its writer could not know: `stopped` when it has gone, `broken` when it is silent."""
    status = dict(last)
    if last["state"] == "stopped" or not alive:
        how = "was stopped" if last["state"] == "stopped" else "ended without a word"
        what = f"the daemon {how}; last seen {ago(last['written'], now)}"
        return status | _worst(
            last, "stopped", what, "sudo systemctl start sensor-agent; journalctl -u sensor-agent -e"
        )
    every = min((sensor.get("interval_seconds") or 0.0 for sensor in last["sensors"]), default=None)
    # by a clock that is set: one that is set meanwhile would make a fresh status look old
    if every is not None and last["clock"]["synchronised"]:
        silence = between(last["written"], now)
        if silence > 2 * every + SILENT_SECONDS:
            what = f"the daemon runs and has said nothing since {ago(last['written'], now)}"
            return status | _worst(last, "broken", what, "sudo systemctl restart sensor-agent")
    return status


def _worst(last: Mapping[str, Any], state: str, what: str, fix: str) -> dict[str, Any]:
    return {"state": state, "problems": [{"what": what, "fix": fix}, *last["problems"]]}
