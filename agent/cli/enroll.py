"""`enroll`: the device's own key, a signing request, and the certificate that the issuer makes of it."""

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.cli import parts
from agent.cli.render import write_json
from agent.config import Config, load
from agent.device import device_name
from agent.errors import AgentError, Refused
from agent.reading import utc_text

if TYPE_CHECKING:
    from agent.enrollment import Report, Step, Wish
    from agent.issuers import Issuer

log = logging.getLogger(__name__)

TOKEN_LIMIT: Final = 8192  # bytes; a token is a line, not a file


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `enroll`."""
    command = commands.add_parser(
        "enroll",
        parents=[common],
        help="get this device its certificate",
        description="Make a key and a signing request on this device and have the issuer sign it. Run again: nothing happens.",
        epilog="Exit codes: 0 enrolled, 65 unusable answer, 73 cannot write, 75 try again later, 77 refused, 78 configuration.",
    )
    token = command.add_mutually_exclusive_group()
    token.add_argument("--token-file", metavar="F", help="where the issuer's token is (default: enroll.token_file)")
    token.add_argument("--token-stdin", action="store_true", help="read the token from standard input")
    command.add_argument("--issuer", metavar="N", choices=("cloudflare",), help="who signs (default: enroll.issuer)")
    command.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="keep trying for so long")
    command.add_argument(
        "--dry-run", action="store_true", help="check everything up to the question; write and spend nothing"
    )
    command.add_argument("--force", action="store_true", help="a new key and certificate although there is a valid one")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.set_defaults(handler=enroll)


def enroll(args: argparse.Namespace) -> int:
    """Enroll this device; says what was done, step by step, also when a step failed."""
    from agent import enrollment
    from agent.identity_store import IdentityStore

    config = load(args.config)
    wanted = wish(config, args.root)
    store = IdentityStore(Path(config.identity.store_dir))
    report = enrollment.Report(watch=_show)

    def make_issuer() -> "Issuer":
        return issuer(config, token(args, config))

    try:
        if args.dry_run:
            enrollment.rehearse(wanted, store, make_issuer, now=parts.utc_now, report=report)
        else:
            enrollment.enroll(
                wanted, store, make_issuer, now=parts.utc_now, report=report, force=args.force, wait_seconds=args.wait
            )
    except AgentError as error:
        report.done(type(error).__name__, str(error), ok=False)
        if args.json:
            write_json(answer(report, wanted.name, config))
        raise
    if args.json:
        write_json(answer(report, wanted.name, config))
    elif report.certificate is not None:
        says = report.certificate
        sys.stdout.write(f"{report.state}: {says.name}, valid until {utc_text(says.not_after.timestamp())}\n")
        sys.stderr.write(
            f"  {config.enroll.issuer} cannot renew it by itself: enroll again before then, with --force\n"
        )
    return 0


def wish(config: Config, root: Path) -> "Wish":
    """What to ask for, from the configuration and the board."""
    from dataclasses import asdict

    from agent.enrollment import Wish

    return Wish(
        name=device_name(config.device.name, root),
        key_type=config.enroll.key_type,
        validity_days=config.enroll.validity_days,
        subject=asdict(config.enroll.subject),
        cert_file=Path(config.identity.cert_file),
        key_file=Path(config.identity.key_file),
    )


def issuer(config: Config, secret: str) -> "Issuer":
    """Who signs, by the configuration."""
    from agent.issuers.cloudflare import CloudflareIssuer

    return CloudflareIssuer(
        url=config.enroll.url,
        zone_id=config.enroll.zone_id,
        token=secret,
        ca_file=config.enroll.ca_file or config.uplink.ca_file,
        proxy=config.uplink.proxy,
    )


def token(args: argparse.Namespace, config: Config) -> str:
    """The issuer's token, from stdin or a file and never from an argument.

    Raises Refused if there is none or it is not one line of printable ASCII; its text is in no message.
    """
    if args.token_stdin:
        where, raw = "standard input", sys.stdin.buffer.read(TOKEN_LIMIT + 1)
    else:
        file = Path(args.token_file or config.enroll.token_file)
        where = str(file)
        try:
            with file.open("rb") as opened:
                if os.fstat(opened.fileno()).st_mode & 0o077:
                    log.warning("token can be read by others", extra={"FILE": where, "HINT": f"chmod 0600 {where}"})
                raw = opened.read(TOKEN_LIMIT + 1)
        except OSError as error:
            raise Refused(
                f"no token: {where}: {error.strerror}", hint="sensor-agent enroll --token-file F, or --token-stdin"
            ) from error
    text = raw.strip()
    if not text or len(raw) > TOKEN_LIMIT or not all(0x21 <= byte <= 0x7E for byte in text):
        raise Refused(f"no token: {where} does not hold one line of printable ASCII", hint="paste the token alone")
    return text.decode("ascii")


def answer(report: "Report", name: str, config: Config) -> dict[str, Any]:
    """What `enroll --json` promises."""
    says = report.certificate
    return {
        "state": report.state,
        "name": says.name if says else name,
        "changed": report.changed,
        "fingerprint_sha256": says and says.fingerprint_sha256,
        "serial": says and says.serial,
        "not_after": says and utc_text(says.not_after.timestamp()),
        "days_left": says and says.days_left(parts.utc_now()),
        "issuer": config.enroll.issuer,
        "can_renew": False,
        "steps": [{"name": step.name, "ok": step.ok, "detail": step.detail} for step in report.steps],
    }


def _show(step: "Step") -> None:
    """A step for the person who waits; the failing one is told by the error itself."""
    if step.ok:
        sys.stderr.write(f"  ok  {step.name}: {step.detail}\n")
