"""`renew`: a new key and certificate for the old certificate, when two thirds of its life are over."""

import argparse
from pathlib import Path

from agent import status_file
from agent.cli import durations, parts
from agent.cli.enroll import show, telling
from agent.cli.issuing import add_token, credentials, shield_probe, wish
from agent.clock import Clock
from agent.config import load
from agent.identity_store import IdentityStore


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `renew`."""
    command = commands.add_parser(
        "renew",
        parents=[common],
        help="renew this device's certificate when it is due",
        description="Run by a timer as root. Renews what is due with a new key, shows it to the shield before the "
        "switch, and goes back to the pair before if the shield refuses the new one all the same.",
        epilog="Exit codes: 0 renewed or not due, 65 unusable answer, 73 cannot write, 75 try again later, "
        "77 a token is needed, 78 there is nothing to renew.",
    )
    command.add_argument("--force", action="store_true", help="although it is not due")
    command.add_argument(
        "--wait", type=durations.seconds, default=0.0, metavar="SECONDS", help="keep trying for so long"
    )
    add_token(command)
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.set_defaults(handler=renew)


def renew(args: argparse.Namespace) -> int:
    """Renew if it is due; says what was done, step by step."""
    from agent import enrollment

    config = load(args.config, issuing=True)
    wanted = wish(config, args.root)
    report = enrollment.Report(watch=show)
    with telling(report, wanted.name, config, as_json=args.json):
        enrollment.renew(
            wanted,
            IdentityStore(Path(config.identity.store_dir)),
            credentials(args, config),
            patience=enrollment.Patience(parts.utc_now, args.wait, clock_is_set=lambda: Clock(args.root).synchronised),
            report=report,
            force=args.force,
            probe=shield_probe(config),
            held=line_is_held(args.root),
        )
    return 0


def line_is_held(root: Path) -> bool:
    """Whether the running daemon says that the shield refuses it."""
    try:
        found = status_file.read(root)
    except (OSError, ValueError):
        return False
    if found is None or not found[1]:
        return False
    uplink = found[0].get("uplink")
    return isinstance(uplink, dict) and uplink.get("state") == "hold"
