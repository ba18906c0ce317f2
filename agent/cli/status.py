"""`status`: what the running daemon said last, from its status file; the exit code is for monitoring."""

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from agent import __version__
from agent.cli.status_seen import NoStatus, seen, silent

EXIT: Final = {"healthy": 0, "degraded": 1, "broken": 2, "stopped": 2}
WATCH_SECONDS: Final = 2.0


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `status`."""
    command = commands.add_parser(
        "status",
        parents=[common],
        help="how the daemon is doing",
        description="Sensors, spool, line and identity of the running daemon, the worst first. Anyone may ask.",
        epilog="Exit codes: 0 healthy, 1 degraded, 2 broken, stopped or never seen.",
    )
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object")
    form.add_argument(
        "--prometheus",
        nargs="?",
        type=Path,
        const=Path("-"),
        metavar="FILE",
        help="as metrics for node_exporter's textfile collector; FILE is replaced as a whole; exit code 0",
    )
    command.add_argument("--watch", action="store_true", help="again whenever it has changed, until Ctrl-C")
    command.set_defaults(handler=status)


def status(args: argparse.Namespace) -> int:
    """Show the status; with `--watch` again and again."""
    if args.prometheus:
        return _metrics(args.root, args.prometheus)
    if args.watch:
        from agent.cli.status_watch import watch

        return EXIT.get(
            watch(lambda: seen(args.root, _now(), args.config), _form(as_json=args.json), every=WATCH_SECONDS), 2
        )
    try:
        found = seen(args.root, _now(), args.config)
    except NoStatus as error:
        if not args.json:
            raise
        found = _nothing(error)
    sys.stdout.write(_form(as_json=args.json)(found))
    return EXIT.get(found["state"], 2)


def _nothing(error: NoStatus) -> dict[str, Any]:
    """What can be said where no daemon has said anything."""
    known: dict[str, Any] = {"state": "stopped", "version": __version__, "sensors": []}
    absent = dict.fromkeys(("since", "written", "pid", "pid_started", "spool", "uplink", "clock", "identity"))
    return {**known, "problems": [{"what": str(error), "fix": error.hint}], **absent}


def _form(*, as_json: bool) -> Callable[[dict[str, Any]], str]:
    """How a status becomes text."""
    if as_json:
        import json

        return lambda found: json.dumps(found, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    from agent.cli.look import look_here
    from agent.cli.screen import screen

    return lambda found: screen(found, _now(), look_here(sys.stdout))


def _metrics(root: Path, file: Path) -> int:
    from agent.cli.metrics import metrics, replace_file

    try:
        found = seen(root, _now())
        text = metrics(found, current=found["state"] != "stopped" and not silent(found, _now()))
    except NoStatus:
        text = metrics(None)
    if file == Path("-"):
        sys.stdout.write(text)
    else:
        replace_file(file, text)
    return 0


def _now() -> datetime:
    return datetime.now(UTC)
