"""`identity`: the pair that this device shows; looked at, carried in and out by hand, put back, taken away."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import identity
from agent.cli import bundle, parts
from agent.cli.enroll import able, show, telling
from agent.cli.issuing import shield_probe, wish
from agent.cli.render import table, write_json
from agent.config import Config, load
from agent.device import board
from agent.errors import ENROLL, CannotWrite, ConfigError
from agent.identity import IdentityState
from agent.identity_store import IdentityStore
from agent.reading import utc_text

if TYPE_CHECKING:
    from agent.enrollment import Patience

ABOUT = "The key and certificate of this device."


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `identity`."""
    top = commands.add_parser(
        "identity", help="key and certificate of this device", description=ABOUT, parents=[common]
    )
    members = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    shown = _member(members, common, "show", "what it is, who issued it, until when", show_identity)
    shown.add_argument("--json", action="store_true", help="one JSON object")

    from agent.cli import identity_verify

    identity_verify.add_to(members, common)
    out = _member(members, common, "export-csr", "the signing request of this device's next key", export_request)
    out.add_argument("out", metavar="OUT", help="the file to write, or - for standard output")
    brought = _member(members, common, "import", "a certificate that somebody brings", import_pair)
    brought.add_argument("certificate", metavar="CERT", help="PEM, chain in any order, or an issuer's whole answer")
    brought.add_argument("--key", metavar="FILE", help="its key, if it was not made here (PKCS#1, SEC1, PKCS#8, TSS2)")
    brought.add_argument("--json", action="store_true", help="one JSON object")
    back = _member(members, common, "rollback", "the pair before", roll_back)
    back.add_argument("--json", action="store_true", help="one JSON object")
    gone = _member(members, common, "reset", "remove every key and certificate of this device", reset)
    gone.add_argument(
        "--image",
        action="store_true",
        help="and token, spool and ids: what no image may hold; under --root DIR",
    )
    bundle.add_to(members, common)


def _member(
    members: "argparse._SubParsersAction[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,
    name: str,
    about: str,
    handler: Any,
) -> argparse.ArgumentParser:
    member = members.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.", parents=[common])
    member.set_defaults(handler=handler)
    return member


def store(config: Config) -> IdentityStore:
    """Where the configuration keeps it."""
    return IdentityStore(Path(config.identity.store_dir))


def show_identity(args: argparse.Namespace) -> int:
    """What is known of the identity, 0 whatever that is."""
    config = load(args.config)
    answer = described(config, args.root)
    if args.json:
        write_json(answer)
        return 0
    sys.stdout.write(table([(name.replace("_", " "), _shown(value)) for name, value in answer.items()]))
    return 0


def _shown(value: object) -> str:
    """A value of the answer for a person."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def described(config: Config, root: Path) -> dict[str, Any]:
    """What `identity show --json` promises; what only root may see is null for others."""
    kept, files = store(config), parts.identity_files(config)
    found = identity.load(files, now=parts.utc_now(), here=board(root))
    says, meta = found.certificate, kept.meta()
    return {
        "state": found.state.value,
        "detail": found.detail or None,
        "fix": found.fix or None,
        "name": says and says.name,
        "serial": says and says.serial,
        "fingerprint_sha256": says and says.fingerprint_sha256,
        "not_before": says and utc_text(says.not_before.timestamp()),
        "not_after": says and utc_text(says.not_after.timestamp()),
        "days_left": says and says.days_left(parts.utc_now()),
        "renews_after": says and utc_text(says.renews_after.timestamp()),
        "can_renew": able(config),
        "issuer": meta.get("issuer"),
        "issuer_id": meta.get("issuer_id") or None,
        "certificate": files[0],
        "key": files[1],
        "request": kept.request.stage(),
        "earlier": [each.name for each in kept.earlier()] or None,
    }


def export_request(args: argparse.Namespace) -> int:
    """Write the request; 0 then."""
    from agent import enrollment

    config = load(args.config)
    request = enrollment.export_request(wish(config, args.root), store(config), report=_report())
    if args.out == "-":
        sys.stdout.write(request.decode("ascii"))
        return 0
    try:
        Path(args.out).write_bytes(request)
    except OSError as error:
        raise CannotWrite(
            f"{args.out} cannot be written: {error.strerror}", hint="another name, or - for stdout"
        ) from error
    sys.stdout.write(f"{args.out}: have it signed, then: sudo sensor-agent identity import CERT\n")
    return 0


def import_pair(args: argparse.Namespace) -> int:
    """Make the certificate the one in force; 0 then."""
    from agent import enrollment

    config = load(args.config)
    wanted, report = wish(config, args.root), _report()
    key = _read(args.key, "the key") if args.key else None
    text = _read(args.certificate, "the certificate")
    with telling(report, wanted.name, config, as_json=args.json):
        probe = shield_probe(config)
        enrollment.import_pair(wanted, store(config), text, key, patience=_patience(), report=report, probe=probe)
    return 0


def roll_back(args: argparse.Namespace) -> int:
    """Put the pair before in force; 0 then."""
    from agent import enrollment

    config = load(args.config)
    wanted, report = wish(config, args.root), _report()
    with telling(report, wanted.name, config, as_json=args.json):
        probe = shield_probe(config)
        enrollment.roll_back(wanted, store(config), now=parts.utc_now(), report=report, probe=probe)
    return 0


def reset(args: argparse.Namespace) -> int:
    """Remove the identity, with `--image` all that makes two devices one; 0 then."""
    from agent.cli import image_check

    if args.image:
        for gone in image_check.clean(args.root, args.config):
            sys.stdout.write(f"removed: {gone}\n")
        return 0
    config = load(args.config)
    kept = store(config)
    with kept.lock():
        for path in kept.reset(Path(config.identity.cert_file), Path(config.identity.key_file)):
            sys.stdout.write(f"removed: {path}\n")
    found = identity.load(parts.identity_files(config), now=parts.utc_now())
    if found.state is not IdentityState.MISSING:
        sys.stderr.write(f"  {config.identity.cert_file} was put there by somebody else and stays\n")
    else:
        sys.stderr.write(f"  next: {ENROLL} # or: sudo systemctl start sensor-agent-enroll.timer\n")
    return 0


def _report() -> "Any":
    from agent.enrollment import Report

    return Report(watch=show)


def _patience() -> "Patience":
    from agent.enrollment import Patience

    return Patience(parts.utc_now)


def _read(file: str, what: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read() if sys.stdin else b""
        return Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{what} {file} cannot be read: {error.strerror}", hint=f"namei -l {file}") from error
