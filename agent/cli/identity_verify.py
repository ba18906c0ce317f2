"""`identity verify`: whether this pair may be used here, and what the shield makes of it; the exit code says who acts."""

import argparse
import sys
from collections.abc import Iterator
from typing import Final

from agent import identity
from agent.checks import shield
from agent.checks.identity import BEHIND
from agent.cli import parts
from agent.cli.render import mark, table, write_json
from agent.config import Config, load
from agent.device import board
from agent.errors import RENEW
from agent.identity import Identity, IdentityState

EXIT: Final = {"active": 0, "unknown": 75, "rejected": 77}  # any other state: 78
Seen = tuple[str, str, str, str]
"""Name, `ok`, `warn` or `fail`, what was seen, and the next command."""


def add_to(members: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `verify` to the family."""
    command = members.add_parser(
        "verify",
        help="does it load, is it for this board, does the shield take it",
        description="Look at the pair: whether it loads, is in date, private, and for this board; then ask the shield.",
        epilog="Exit codes: 0 good, 75 the shield could not be asked, 77 it refuses, 78 the pair cannot be used.",
        parents=[common],
    )
    command.add_argument("--offline", action="store_true", help="ask nobody on the network")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.set_defaults(handler=verify)


def verify(args: argparse.Namespace) -> int:
    """See `add_to`."""
    config = load(args.config)
    found = identity.load(parts.identity_files(config), now=parts.utc_now(), here=board(args.root))
    lines = list(_local(found, config))
    state = found.state.value
    if found.state is IdentityState.ACTIVE and found.pair and not args.offline:
        state, line = shield.verdict(parts.target(config), found.pair, config.uplink.url)
        lines.append((line.name, line.result, line.saw, line.fix or ""))
    if args.json:
        checks = [{"name": name, "result": result, "saw": saw, "fix": fix or None} for name, result, saw, fix in lines]
        write_json({"state": state, "checks": checks})
    else:
        for name, result, saw, fix in lines:
            sys.stdout.write(table([(mark(result), name, saw)]))
            sys.stdout.write(f"      next: {fix}\n" if fix else "")
    return EXIT.get(state, 78)


def _local(found: Identity, config: Config) -> Iterator[Seen]:
    says = found.certificate
    if found.state is IdentityState.ACTIVE and says:
        yield "pair", "ok", f"loads; {says.name}, sha256 {says.fingerprint_sha256[:16]}…", ""
        now = parts.utc_now()
        left = f"until {says.not_after:%Y-%m-%d}, {says.days_left(now)} days; renewal from {says.renews_after:%Y-%m-%d}"
        if says.not_before > now:
            yield "validity", "warn", f"from {says.not_before:%Y-%m-%d %H:%M} on, later than this clock has it", BEHIND
        else:
            due = says.renews_after <= now
            yield "validity", "warn" if due else "ok", left, RENEW if due else ""
    else:
        yield "pair", "fail", found.detail, found.fix
    if found.moved:
        yield "board", "warn", f"another {found.moved} than at enrollment", f"{RENEW} (binds it to this one)"
    warning = identity.exposed(parts.identity_files(config)[1])
    if warning:
        yield "key", "warn", *warning
