"""`status`: what the running daemon said last, from its status file; the exit code is for monitoring."""

import argparse
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from agent import status_file
from agent.cli.render import coloured, table, write_json
from agent.errors import AgentError

EXIT: Final = {"healthy": 0, "degraded": 1, "broken": 2, "stopped": 2}
WATCH_SECONDS: Final = 2.0


class NoStatus(AgentError):
    """There is nothing to show."""

    exit_code = 2


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `status`."""
    command = commands.add_parser(
        "status",
        parents=[common],
        help="how the daemon is doing",
        description="Sensors, spool, line and identity of the running daemon.",
        epilog="Exit codes: 0 healthy, 1 degraded, 2 broken, stopped or never seen.",
    )
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.add_argument("--watch", action="store_true", help=f"again every {WATCH_SECONDS:g} s, until Ctrl-C")
    command.set_defaults(handler=status)


def status(args: argparse.Namespace) -> int:
    """Show the status; with `--watch` again and again."""
    while True:
        found = seen(args.root)
        if args.json:
            write_json(found)
        else:
            if args.watch and sys.stdout.isatty():
                sys.stdout.write("\x1b[H\x1b[2J")
            sys.stdout.write(render(found, now=datetime.now(UTC)))
        sys.stdout.flush()
        if not args.watch:
            return EXIT.get(found["state"], 2)
        threading.Event().wait(WATCH_SECONDS)


def seen(root: Path) -> dict[str, Any]:
    """The last status; `stopped` if its daemon has gone. Raises NoStatus if there is none that can be read."""
    try:
        found = status_file.read(root)
    except (OSError, ValueError) as error:
        raise NoStatus(f"the status cannot be read: {error}", hint="systemctl status sensor-agent") from error
    if found is None:
        raise NoStatus("no daemon has run since boot", hint="systemctl start sensor-agent (or: sensor-agent run)")
    last, alive = found
    return last if alive else last | {"state": "stopped"}


def render(found: dict[str, Any], *, now: datetime) -> str:
    """The status for a person, the worst first."""
    spool, uplink, identity = found["spool"], found["uplink"], found["identity"]
    lines = f"{coloured(found['state'])}  sensor-agent {found['version']}, since {found['since']}"
    lines += f", last seen {found['written']}\n" if found["state"] == "stopped" else "\n"
    for problem in found["problems"]:
        lines += f"  ! {problem['what']}\n    next: {problem['fix']}\n"
    rows = [
        (f"  {each['sensor']}", _celsius(each["celsius"]), _age(each["last_good"], now), each["error"] or "")
        for each in found["sensors"]
    ]
    lines += "\n" + table(rows)
    held = f" ({found['clock']['held']} wait for the clock)" if found["clock"]["held"] else ""
    parts: list[tuple[str, str]] = [
        ("spool", f"{spool['pending']} pending{held}, {spool['set_aside']} set aside, {spool['dropped']} dropped"
                  f", room for {spool['capacity']} ({spool['durability']}; {spool['state']})"),
        ("uplink", f"{uplink['state']} since {uplink['since']}, {uplink['acknowledged']} of {uplink['posted']} acknowledged"
                   + (f", next try {uplink['next_try']}" if uplink["next_try"] else "")),
        ("clock", "synchronised" if found["clock"]["synchronised"] else "not synchronised"),
        ("identity", f"{identity['state']}"
                     + (f": {identity['name']}, {identity['days_left']} days left" if identity["name"] else "")),
    ]  # fmt: skip
    if identity["name"]:
        parts.append(("renewal", _renewal(identity)))
    return lines + "\n" + table(parts)


def _renewal(identity: dict[str, Any]) -> str:
    """From when on it renews itself, or until when a person must act."""
    if identity.get("can_renew", True):
        return f"from {identity['renews_after'][:10]} on"
    return f"not by itself; enroll again, with --force, before {identity['not_after'][:10]}"


def _celsius(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f} °C"


def _age(time: str | None, now: datetime) -> str:
    if time is None:
        return "never read"
    seconds = max(0, int((now - datetime.fromisoformat(time)).total_seconds()))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
