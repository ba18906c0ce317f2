"""`sensor-agent shield`: the other end; a stand-in for Cloudflare on this machine, and the operator's tools."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.cli import shield_authority, shield_setup

if TYPE_CHECKING:
    from agent.devshield.shield import Shield

ABOUT: Final = (
    "A development shield: the tutorial's Worker behind an mTLS edge on one port, the client-certificates API over "
    "a certificate authority of its own on another. It is not Cloudflare and protects nothing: its keys and tokens "
    "lie in --dir, and it listens on loopback unless told otherwise."
)
FAULTS: Final = (
    "Faults, with an optional count as in 503*3; without one they last. Of the shield: lost (stored, no answer), "
    "drop, 429[:SECONDS], any 5xx, slow:SECONDS, drip:SECONDS (for each byte), portal, 400html, 302, kv-limit. "
    "Of the API, written api:FAULT: lost, drop, 429[:SECONDS], any 5xx, 502html, slow:SECONDS, badjson, nocert, "
    "wrongkey, crlf, quota. While it runs: POST /__fault at the API's port with "
    '{"shield": ["lost*1"], "api": []}; POST /__token there makes a one-time token.'
)
SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM})


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add the family's commands."""
    family = commands.add_parser(
        "shield",
        help="the other end: development shield, registration authority",
        description=ABOUT,
        parents=[common],
    )
    members = family.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve = members.add_parser(
        "serve", help="run the development shield", description=ABOUT, epilog=FAULTS, parents=[common]
    )
    serve.add_argument("--dir", type=Path, default=None, help="its state (default ~/.local/state/sensor-agent/shield)")
    serve.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS", help="address of both ports")
    serve.add_argument("--port", type=int, default=0, help="of the shield, mTLS (default: a free one)")
    serve.add_argument("--api-port", type=int, default=0, help="of the certificates API (default: a free one)")
    serve.add_argument(
        "--rule",
        choices=["default", "strict"],
        default="default",
        help="Cloudflare's template lets a revoked certificate in; strict keeps it out",
    )
    serve.add_argument(
        "--api",
        choices=["tutorial", "extended"],
        default="tutorial",
        help="the readings' API: the tutorial's, or one with batches, gzip, idempotency keys and queries",
    )
    serve.add_argument("--kv-limit", action="store_true", help="one write a second, as Workers KV documents it")
    serve.add_argument("--fault", action="append", default=[], metavar="FAULT", help="may be repeated; see below")
    serve.add_argument("--json", action="store_true", help="say where it is as one JSON object")
    serve.set_defaults(handler=serve_until_signal)
    shield_setup.add_to(members, common)
    shield_authority.add_to(members, common)


def serve_until_signal(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; 0 then."""
    from agent.devshield.shield import Setup, Shield

    # blocked before any thread starts, so that all of them leave these signals to the wait below
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    setup = Setup(
        directory=(args.dir or default_directory()).absolute(),
        listen=args.listen,
        port=args.port,
        api_port=args.api_port,
        rule=args.rule,
        api=args.api,
        faults=(*args.fault, *(["kv-limit"] if args.kv_limit else [])),
    )
    with Shield(setup) as shield:
        sys.stdout.write(json.dumps(shield.where) + "\n" if args.json else greeting(shield))
        sys.stdout.flush()
        signal.sigwait(SIGNALS)
    return 0


def default_directory() -> Path:
    """Where the state is when nobody says: a restart finds the same authority, certificates and readings."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "sensor-agent" / "shield"


def greeting(shield: "Shield") -> str:
    """What a person needs: that this is no Cloudflare, and the configuration to paste."""
    where = shield.where
    tls = (
        "a certificate that does not verify gets HTTP 403"
        if shield.tls == "pyopenssl"
        else "a certificate that does not verify ends in a TLS alert, not in 403: pip install 'sensor-agent[shield]'"
    )
    copied = "; copy ca.pem and the token to the device, and name its copies here" if shield.for_others else ""
    page = f"the reader's page is at {where['page']} (docs/reader.md)\n" if where["page"] else ""
    return f"""\
development shield, not Cloudflare: it protects nothing, keep it on your own machine
rule {where["rule"]}, {where["readings_api"]} API; {tls}
{page}\
requests are written to {where["requests_file"]}, and here with -v; Ctrl-C ends it

# for the configuration{copied}
[uplink]
url = "{where["shield"]}"
ca_file = "{where["ca_file"]}"

[enroll]
url = "{where["api"]}"
zone_id = "{where["zone_id"]}"
token_file = "{where["token_file"]}"
"""
