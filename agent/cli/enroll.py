"""`enroll`: the device's own key, a signing request, and the certificate that the issuer makes of it."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.cli import durations, parts
from agent.cli.issuing import NoToken, add_token, first_issuer, shield_probe, wish
from agent.cli.progress import Progress, counting_down
from agent.cli.render import write_json
from agent.clock import Clock
from agent.config import Config, load
from agent.errors import ENROLL, AgentError, Refused, TryLater
from agent.issuers import NAMES, can_renew
from agent.issuers.manual import WAY
from agent.reading import utc_text
from agent.record import replace

if TYPE_CHECKING:
    from agent.enrollment import Report, Step
    from agent.issuers import Issuer

# what `state` is in the answer when it ended so
STATES: Final[dict[type[AgentError], str]] = {TryLater: "waiting", NoToken: "needs-token", Refused: "refused"}


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `enroll`."""
    command = commands.add_parser(
        "enroll",
        parents=[common],
        help="get this device its certificate",
        description="Make a key and a signing request on this device and have the issuer sign it. Run again: nothing happens.",
        epilog="Exit codes: 0 enrolled, 65 unusable answer, 73 cannot write, 75 try again later, 77 refused, 78 configuration.",
    )
    add_token(command)
    command.add_argument(
        "--issuer", metavar="N", choices=NAMES, help=f"who signs: {', '.join(NAMES)} (default: enroll.issuer)"
    )
    command.add_argument(
        "--wait",
        type=durations.seconds,
        default=0.0,
        metavar="SECONDS",
        help="keep trying for so long: for clock, network, approval",
    )
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

    config = load(args.config, issuing=True)
    unset = bool(args.issuer) and args.issuer != config.enroll.issuer
    if unset:
        config = replace(config, enroll=replace(config.enroll, issuer=args.issuer))
    wanted = wish(config, args.root)
    store = IdentityStore(Path(config.identity.store_dir))
    report = enrollment.Report(watch=show)
    progress = Progress()
    patience = enrollment.Patience(
        parts.utc_now,
        args.wait,
        wait=counting_down(progress, patience_seconds=args.wait),
        clock_is_set=lambda: Clock(args.root).synchronised,
    )

    def make_issuer() -> "Issuer":
        return first_issuer(args, config)

    with telling(report, wanted.name, config, as_json=args.json, unset=unset):
        if args.dry_run:
            enrollment.rehearse(wanted, store, make_issuer, patience=patience, report=report, force=args.force)
        else:
            enrollment.enroll(
                wanted,
                store,
                make_issuer,
                patience=patience,
                report=report,
                force=args.force,
                probe=shield_probe(config),
            )
    if not args.json:
        would = args.dry_run and (args.force or report.state != "active")
        then = ENROLL + " --force" * args.force if would else "sensor-agent status"
        sys.stderr.write(f"  next: {then}\n")
    return 0


@contextmanager
def telling(report: "Report", name: str, config: Config, *, as_json: bool, unset: bool = False) -> Iterator[None]:
    """The answer on stdout, whichever way it ends; a failing one as JSON only, since the error tells the rest.

    `unset`: the issuer was given on the command line, and the configuration has another one renew.
    """
    try:
        yield
    except AgentError as error:
        report.state = STATES.get(type(error), report.state if report.state != "enrolled" else "failed")
        report.done(type(error).__name__, str(error), ok=False)
        if as_json:
            write_json(answer(report, name, config, unset=unset))
        raise
    if as_json:
        write_json(answer(report, name, config, unset=unset))
    elif report.certificate is not None:
        says = report.certificate
        sys.stdout.write(f"{report.state}: {says.name}, valid until {utc_text(says.not_after.timestamp())}\n")
        if unset:
            sys.stderr.write(f'  renew asks another issuer: set enroll.issuer = "{config.enroll.issuer}"\n')
        elif not able(config):
            again = WAY if config.enroll.issuer == "manual" else f"{ENROLL} --force"
            sys.stderr.write(
                f"  {config.enroll.issuer} cannot renew it by itself: before {says.not_after:%Y-%m-%d}, {again}\n"
            )


def able(config: Config) -> bool:
    """Whether the configured issuer renews without a new token."""
    return can_renew(config.enroll.issuer, renew_url=config.enroll.renew_url)


def answer(report: "Report", name: str, config: Config, *, unset: bool = False) -> dict[str, Any]:
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
        "can_renew": able(config) and not unset,
        "renews_after": says and utc_text(says.renews_after.timestamp()),
        "steps": [{"name": step.name, "ok": step.ok, "detail": step.detail} for step in report.steps],
    }


def show(step: "Step") -> None:
    """A step for the person who waits; the failing one is told by the error itself."""
    if step.ok:
        sys.stderr.write(f"  ok  {step.name}: {step.detail}\n")
