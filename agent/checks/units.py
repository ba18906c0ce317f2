"""What systemd says of the agent's units, and the daemon of itself; where there is no systemd, the daemon alone."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from agent.checks.finding import Check, fail, ok, warn

SERVICE: Final = "sensor-agent.service"
BESIDE: Final = {
    "sensor-agent-identity.path": "a new certificate is not taken up",
    "sensor-agent-renew.timer": "the certificate is not renewed",
}
PROPERTIES: Final = "Id,LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts"
MANY_RESTARTS: Final = 5
LOG: Final = "journalctl -u sensor-agent -n 50"
UP: Final = frozenset({"active", "activating", "reloading"})
State = Mapping[str, str]


def look(root: Path) -> dict[str, State]:
    """The properties of each unit by its name; empty without a running systemd, or under another root."""
    if root != Path("/") or not Path("/run/systemd/system").is_dir():
        return {}
    command = ["systemctl", "show", f"--property={PROPERTIES}", SERVICE, *BESIDE]
    try:
        done = subprocess.run(  # noqa: S603 - our own words, no shell
            command, capture_output=True, text=True, timeout=10, check=False, env={**os.environ, "LC_ALL": "C"}
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return parse(done.stdout)


def parse(text: str) -> dict[str, State]:
    """What `systemctl show` prints: `Key=value` lines, a blank one between units."""
    units = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.split("\n\n")]
    return {unit["Id"]: unit for unit in units if unit.get("LoadState") == "loaded"}


def units(states: Mapping[str, State]) -> Iterator[Check]:
    """A line for the service, and one for each unit beside it that should wait and does not."""
    service = states.get(SERVICE)
    if service is None:
        return
    yield _service(service)
    for unit, effect in BESIDE.items():
        state = states.get(unit)
        if state is not None and state.get("ActiveState") not in {"active", "activating"}:
            yield warn("unit", f"{unit} is {state.get('ActiveState')}: {effect}", f"sudo systemctl enable --now {unit}")


def _service(state: State) -> Check:
    active, restarts = state.get("ActiveState", ""), int(state.get("NRestarts") or 0)
    if state.get("UnitFileState") == "masked":
        fix = "sudo systemctl unmask sensor-agent; sudo systemctl enable --now sensor-agent"
        return fail("unit", f"{SERVICE} is masked", fix)
    if _dies(state):
        saw = f"{SERVICE} dies again and again ({restarts} restarts, last result {state.get('Result')})"
        return fail("unit", saw, LOG)
    if active not in UP:
        enabled = state.get("UnitFileState") == "enabled"
        fix = "sudo systemctl start sensor-agent" if enabled else "sudo systemctl enable --now sensor-agent"
        return fail("unit", f"{SERVICE} is {active}, {state.get('UnitFileState')}", fix)
    if restarts > MANY_RESTARTS:
        return warn("unit", f"{SERVICE} was restarted {restarts} times", LOG)
    return ok("unit", f"{SERVICE} is {active}, {state.get('UnitFileState')}")


def daemon(
    found: tuple[dict[str, Any], bool] | None, states: Mapping[str, State], *, mute: Path | None = None
) -> Check:
    """The line about the daemon: its last status and whether it lives, None if there has been none since boot.

    `mute` is where its status should be, of one that answers questions.
    """
    if found is None or not found[1]:
        service = states.get(SERVICE, {})
        if service.get("ActiveState") in UP and not _dies(service):
            saw = "it starts: its first readings are under way"
            return warn("daemon", saw, f"sensor-agent check # in a minute; if it stays: df /run; {LOG}")
        if mute:
            return warn(
                "daemon", "it runs and has written no status: it has just begun, or the disk is full", f"df {mute}"
            )
        return warn("daemon", "not running", "sudo systemctl start sensor-agent")
    state, problems = found[0].get("state"), found[0].get("problems") or []
    saw = f"{state}, since {found[0].get('since')}"
    if state != "healthy" and problems:
        return warn("daemon", f"{saw}: {problems[0].get('what')}", "sensor-agent status")
    return ok("daemon", saw)


def _dies(state: State) -> bool:
    return state.get("SubState") == "auto-restart" or state.get("ActiveState") == "failed"
