"""`sensor-agent shield setup`: the operator's part of a real zone, once per host, as often as one likes."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import durations
from agent.cli.render import write_json
from agent.errors import ConfigError

if TYPE_CHECKING:
    from agent.devshield.zone_setup import Plan

ABOUT = (
    "Turn mTLS on for a host of a Cloudflare zone and block there whoever shows no valid certificate, or a revoked "
    "one. Other hosts and rules stay as they are. Run again: nothing happens. The token needs `SSL and Certificates: "
    "Edit` and `Zone WAF: Edit` for the zone."
)


def add_to(members: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `setup` to the family."""
    command = members.add_parser("setup", help="set a real zone up", description=ABOUT, parents=[common])
    command.add_argument("--host", required=True, metavar="NAME", help="the shield's, as shield.example.com")
    command.add_argument("--zone", required=True, metavar="ID", help="the zone's id, 32 hex digits")
    command.add_argument("--token-file", type=Path, required=True, metavar="F", help="the API token, mode 0600")
    command.add_argument("--api", default="https://api.cloudflare.com/client/v4", metavar="URL", help="the zone's API")
    command.add_argument("--ca", default="", metavar="F", help="certificate authorities, if not the system's")
    command.add_argument("--url", default="", help="what to probe (default: https://HOST/temps)")
    command.add_argument(
        "--wait",
        type=durations.seconds,
        default=60.0,
        metavar="SECONDS",
        help="for the host to answer and the rule to reach it (default 60)",
    )
    command.add_argument("--no-probe", action="store_true", help="do not ask the host whether it refuses")
    command.add_argument("--dry-run", action="store_true", help="show the difference, change nothing")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.set_defaults(handler=setup)


def setup(args: argparse.Namespace) -> int:
    """Show the difference, put it in force, and see that it holds; 0 then."""
    from agent.devshield import zone_probe, zone_setup
    from agent.devshield.zone_client import ZoneClient

    host = args.host.lower().rstrip(".")
    if not all(label and set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for label in host.split(".")):
        raise ConfigError(f"--host: is not a host name (got {args.host!r})")
    client = ZoneClient(url=args.api, zone_id=args.zone, token=_token(args.token_file), ca_file=args.ca)
    plan = zone_setup.look(client, host)
    probe = None
    if not args.json:
        sys.stdout.write(difference(plan))
        sys.stdout.flush()
    if not args.dry_run:
        if plan.changes:
            zone_setup.put_in_force(client, plan)
        if not args.no_probe:
            probe = zone_probe.refused(args.url or f"https://{host}/temps", ca_file=args.ca, seconds=args.wait)
    if args.json:
        write_json(answer(plan, changed=plan.changes and not args.dry_run, probe=probe))
    elif probe:
        sys.stdout.write(f"probe     a POST without a certificate is refused: {probe}\n")
    return 0


def difference(plan: "Plan") -> str:
    """The plan for a person: what stays, what comes, what goes."""
    lines = [f"hosts     {name}" for name in plan.hosts]
    lines += [f"hosts   + {name}" for name in plan.hosts_after if name not in plan.hosts]
    if plan.change == "none":
        lines.append(f"rule      {plan.rule['expression']}")
    else:
        if plan.rule_before is not None:
            state = "" if plan.rule_before.get("enabled", True) else "   (disabled)"
            lines.append(f"rule    - {plan.rule_before.get('action')}: {plan.rule_before.get('expression')}{state}")
        lines.append(f"rule    + {plan.rule['action']}: {plan.rule['expression']}")
    return "".join(f"{line}\n" for line in lines)


def answer(plan: "Plan", *, changed: bool, probe: str | None) -> dict[str, Any]:
    """The plan and what was done, as JSON."""
    return {
        "changed": changed,
        "hosts": {"before": list(plan.hosts), "after": list(plan.hosts_after)},
        "rule": {
            "change": plan.change,
            "before": plan.rule_before and plan.rule_before.get("expression"),
            "after": plan.rule["expression"],
        },
        "probe": probe,
    }


def _token(file: Path) -> str:
    """One line of printable ASCII; its text is in no message. Raises ConfigError."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: no token: {error}", hint="give --token-file F") from error
    if not text or not text.isprintable() or " " in text:
        raise ConfigError(f"{file}: does not hold one line with a token", hint="paste the token alone")
    return text
