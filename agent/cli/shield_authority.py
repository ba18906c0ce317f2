"""`sensor-agent shield authority`: the registration authority of a fleet, and its operator's commands."""

import argparse
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.cli import durations
from agent.cli.render import write_json

if TYPE_CHECKING:
    from agent.devshield.registration.ledger import Ledger

ABOUT: Final = (
    "Holds the zone's token so that devices do not: a device shows a one-time token once and its certificate from "
    "then on, and gets one certificate for each key. State is in --dir; run every command as the user who serves."
)
DIRECTORY: Final = "/var/lib/sensor-agent-authority"
SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
SAFE_DAYS: Final = 5  # a third of a life is for renewing, and the runs of a device's daily timer may lie 36 h apart


def add_to(members: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `authority` to the family."""
    top = members.add_parser("authority", help="registration authority of a fleet", description=ABOUT, parents=[common])
    actions = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    place = argparse.ArgumentParser(add_help=False, parents=[common])
    place.add_argument("--dir", type=Path, default=Path(DIRECTORY), help=f"its state (default {DIRECTORY})")

    run = actions.add_parser("serve", help="run it", description=ABOUT, parents=[place])
    run.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS")
    run.add_argument("--port", type=int, default=0, help="default: a free one")
    run.add_argument(
        "--names",
        action="append",
        required=True,
        metavar="PATTERN",
        help="what devices may be called, as sensor-*.devices.example.com; may be repeated",
    )
    run.add_argument("--days", type=int, default=90, metavar="N", help="life of each certificate, 1 to 5475")
    run.add_argument("--approve", action="store_true", help="each new device waits until a person approves it")
    run.add_argument("--zone", default="", metavar="ID", help="sign with this zone (default: an authority in --dir)")
    run.add_argument("--zone-token-file", default="", metavar="F", help="the zone's token")
    run.add_argument("--api", default="https://api.cloudflare.com/client/v4", metavar="URL", help="where the zone is")
    run.add_argument("--api-ca", default="", metavar="F", help="certificate authorities of --api, if not the system's")
    run.add_argument(
        "--cert", type=Path, default=None, metavar="F", help="this server's certificate; SIGHUP takes up a new one"
    )
    run.add_argument("--key", type=Path, default=None, metavar="F", help="its key")
    run.add_argument("--json", action="store_true", help="say where it is as one JSON object")
    run.set_defaults(handler=serve)

    token = actions.add_parser("token", help="a one-time token for one device, on stdout", parents=[place])
    token.add_argument("--name", default="", help="good for this name only, also when it is in use")
    token.add_argument(
        "--hours", type=durations.seconds, default=24.0, metavar="N", help="until when it must be used (default 24)"
    )
    token.add_argument("--admitted", action="store_true", help="its device need not be approved")
    token.set_defaults(handler=make_token)

    shown = actions.add_parser("list", help="every key and what became of it", parents=[place])
    shown.add_argument("--json", action="store_true", help="one JSON object")
    shown.set_defaults(handler=show)

    for name, about, handler in (
        ("approve", "let a waiting device in", approve),
        ("refuse", "turn a waiting device away", refuse),
        ("revoke", "put a device's certificates and unused tokens out of force", revoke),
    ):
        action = actions.add_parser(name, help=about, description=f"{about}.", parents=[place])
        action.add_argument(
            "which", metavar="NAME|KEY", help="its name, or 8 letters or more of its key or fingerprint"
        )
        action.set_defaults(handler=handler)


def serve(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; 0 then. SIGHUP takes up a renewed certificate."""
    from agent.devshield.registration.office import RegistrationAuthority, Setup, Zone
    from agent.devshield.registration.place import refuse_others
    from agent.devshield.registration.policy import Policy
    from agent.errors import ConfigError

    refuse_others(args.dir, os.geteuid())
    if not 1 <= args.days <= 5475:
        raise ConfigError(f"--days: must be 1 to 5475 (got {args.days})")
    if args.days < SAFE_DAYS:
        more = f"give --days {SAFE_DAYS} or more, or devices another renewal timer"
        sys.stderr.write(
            f"sensor-agent: --days {args.days}: certificates may end before the daily renewal\nnext: {more}\n"
        )
    # blocked before any thread starts, so that all of them leave these signals to the wait below
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    setup = Setup(
        directory=args.dir.absolute(),
        policy=Policy(tuple(args.names), args.days),
        listen=args.listen,
        port=args.port,
        zone=Zone(args.api, args.zone, args.zone_token_file, args.api_ca) if args.zone else None,
        approve=args.approve,
        certificate=args.cert,
        key=args.key,
    )
    with RegistrationAuthority(setup) as authority:
        where = authority.where
        sys.stdout.write(
            json.dumps(where) + "\n"
            if args.json
            else f"registration authority, signs with: {where['signer']}\n\n# for each device's configuration\n"
            f'[enroll]\nurl = "{where["url"]}"\nzone_id = ""\n'
            + (f'ca_file = "{where["ca_file"]}"  # or where its copy is\n' if where["ca_file"] else "")
        )
        sys.stdout.flush()
        while signal.sigwait(SIGNALS) == signal.SIGHUP:
            authority.reload()
    return 0


def make_token(args: argparse.Namespace) -> int:
    """Print a new token."""
    text = _ledger(args).new_token(expires=time.time() + args.hours * 3600, name=args.name, admitted=args.admitted)
    sys.stdout.write(f"{text}\n")
    return 0


def show(args: argparse.Namespace) -> int:
    """List the keys, the oldest first."""
    entries = _ledger(args, writes=False).entries()
    if args.json:
        rows = [
            {
                "name": entry.name,
                "state": entry.state,
                "public_key_sha256": entry.key,
                "fingerprint_sha256": entry.fingerprint_sha256 or None,
                "not_after": _date(entry.not_after) if entry.not_after else None,
                "seen": entry.seen,
            }
            for entry in entries
        ]
        write_json({"keys": rows})
        return 0
    for entry in entries:
        until = f"until {_date(entry.not_after)}" if entry.not_after else ""
        sys.stdout.write(f"{entry.state:8}  {entry.key[:16]}  {entry.name}  {until}\n".rstrip() + "\n")
    return 0


def approve(args: argparse.Namespace) -> int:
    """The device gets its certificate when it asks again."""
    _ledger(args).decide(args.which, "admitted")
    return 0


def refuse(args: argparse.Namespace) -> int:
    """The device gets none."""
    _ledger(args).decide(args.which, "refused")
    return 0


def revoke(args: argparse.Namespace) -> int:
    """Off the allow-list at once, then revoked by the signer; run again if the signer was not ready."""
    from agent.devshield.registration.office import remembered_signer

    entries, tokens = _ledger(args).revoke(args.which)
    if tokens:
        sys.stdout.write(f"withdrawn: {tokens} unused token{'s' if tokens > 1 else ''} for {args.which}\n")
    signer = remembered_signer(args.dir) if entries else None
    for entry in entries:
        if signer and entry.issuer_id:
            signer.revoke(entry.issuer_id)
        elif signer and (lost := signer.find(entry.key)):  # its answer may have got lost
            signer.revoke(lost.issuer_id)
        sys.stdout.write(f"revoked: {entry.name} {entry.fingerprint_sha256 or entry.key}\n")
    return 0


def _ledger(args: argparse.Namespace, *, writes: bool = True) -> "Ledger":
    from agent.devshield.registration.ledger import Ledger
    from agent.devshield.registration.place import refuse_none, refuse_others

    if writes or os.geteuid() != 0:  # root may look
        refuse_others(args.dir, os.geteuid())
    refuse_none(args.dir)
    return Ledger(args.dir)


def _date(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
