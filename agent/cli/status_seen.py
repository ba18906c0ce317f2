"""The last status as it is to be judged now: a daemon that has gone, or has fallen silent, cannot say so itself."""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from agent import status_file
from agent.cli.durations import ago, between
from agent.errors import AgentError, ConfigError

PARTS: Final = {
    str: ("state", "version", "since", "written"),
    list: ("problems", "sensors"),
    dict: ("spool", "uplink", "clock", "identity"),
}
SILENT_SECONDS: Final = 120.0  # beyond two intervals: a tick may take 30 s, and a loaded board be as late again


class NoStatus(AgentError):
    """There is nothing to show."""

    exit_code = 2


def seen(root: Path, now: datetime, config: Path | None = None) -> dict[str, Any]:
    """The last status, judged at `now`. Raises NoStatus if there is none that can be read; with the file `config`, which
    may be missing or have a mistake, it says so: a unit that does not start for it cannot.
    """
    try:
        found = status_file.read(root)
        last, alive = found or ({}, False)
        if not alive:
            from agent.control import listens  # here: it brings the socket library

            if listens(root / status_file.RUN_DIRECTORY):
                what = "a daemon runs and has written no status: it has just begun, or the disk is full"
                raise NoStatus(what, hint=f"df {root / status_file.RUN_DIRECTORY}")
        if found is None:
            raise _none(config)
        if not all(isinstance(last.get(key), kind) for kind, keys in PARTS.items() for key in keys):
            raise ValueError("it is not whole")  # noqa: TRY301 - the content, not a type
        return judged(last, now, alive=alive)
    except (OSError, ValueError) as error:
        raise NoStatus(f"the status cannot be read: {error}", hint="systemctl status sensor-agent") from error


def _none(config: Path | None) -> NoStatus:
    """Why there may be none."""
    what = "no daemon has run since boot"
    if config:
        from agent.config import load  # here: a status that is there needs none of its 20 ms
        from agent.config.files import elsewhere, missing

        try:
            load(config)
        except ConfigError as error:
            if missing(config):
                return NoStatus(what, hint=error.hint)
            if not os.access(config, os.R_OK, effective_ids=True):
                return NoStatus(
                    f"{what}, as far as this user may see", hint=f"sudo sensor-agent {elsewhere(config)}status"
                )
            return NoStatus(f"{what}: {error.problems[0]}", hint=f"sensor-agent {elsewhere(config)}check --offline")
    return NoStatus(what, hint="sudo systemctl start sensor-agent")


def judged(last: Mapping[str, Any], now: datetime, *, alive: bool) -> dict[str, Any]:
    """The status with what its writer could not know: `stopped` when it has gone, `broken` when it is silent."""
    status = dict(last)
    if last["state"] == "stopped" or not alive:
        how = "was stopped" if last["state"] == "stopped" else "ended without a word"
        what = f"the daemon {how}; last seen {ago(last['written'], now)}"
        return status | _worst(
            last, "stopped", what, "sudo systemctl start sensor-agent; journalctl -u sensor-agent -e"
        )
    if silent(last, now):
        what = f"the daemon runs and has said nothing since {ago(last['written'], now)}"
        return status | _worst(last, "broken", what, "sudo systemctl restart sensor-agent")
    return status


def silent(last: Mapping[str, Any], now: datetime) -> bool:
    """Whether it is older than it can be of a daemon that is well."""
    every = min((sensor.get("interval_seconds") or 0.0 for sensor in last["sensors"]), default=None)
    # by a clock that is set: one that is set meanwhile would make a fresh status look old
    if every is None or not last["clock"]["synchronised"]:
        return False
    return between(last["written"], now) > 2 * every + SILENT_SECONDS


def _worst(last: Mapping[str, Any], state: str, what: str, fix: str) -> dict[str, Any]:
    return {"state": state, "problems": [{"what": what, "fix": fix}, *last["problems"]]}
