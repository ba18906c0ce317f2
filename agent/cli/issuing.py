"""Who signs, with what it is shown: an issuer made of the configuration and a token or the pair in force."""

import argparse
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.cli import parts
from agent.config import Config
from agent.config.files import missing
from agent.delivery import Verdict
from agent.device import board, device_name
from agent.errors import ENROLL, ConfigError, Refused
from agent.issuers import ZONE_ID, can_renew, zone_missing

if TYPE_CHECKING:
    from agent.enrollment import Credentials, Probe, Wish
    from agent.issuers import Issuer

log = logging.getLogger(__name__)

TOKEN_LIMIT: Final = 8192  # bytes; a token is a line, not a file


class NoToken(Refused):
    """The issuer wants a token, and none is where it is looked for."""


def add_token(command: argparse.ArgumentParser) -> None:
    """Add the two ways to give a token, none of which shows in `ps`."""
    token_from = command.add_mutually_exclusive_group()
    token_from.add_argument(
        "--token-file", metavar="F", help="where the issuer's token is (default: enroll.token_file)"
    )
    token_from.add_argument("--token-stdin", action="store_true", help="read the token from standard input")


def wish(config: Config, root: Path) -> "Wish":
    """What to ask for, from the configuration and the board."""
    from agent.enrollment import Wish

    return Wish(
        name=device_name(config.device.name, root),
        key_type=config.enroll.key_type,
        validity_days=config.enroll.validity_days,
        subject=asdict(config.enroll.subject),
        cert_file=Path(config.identity.cert_file),
        key_file=Path(config.identity.key_file),
        here=board(root),
    )


def issuer(
    config: Config,
    secret: str,
    *,
    pair: tuple[str, str] | None = None,
    wait: Callable[[float], object] | None = None,
) -> "Issuer":
    """Who signs, by the configuration: shown the secret, or the pair (certificate file, key file)."""
    from agent.issuers import cfssl, cloudflare, est, manual

    enroll = config.enroll
    url = enroll.renew_url if pair and enroll.renew_url else enroll.url
    ca_file, proxy = enroll.ca_file or config.uplink.ca_file, config.uplink.proxy
    match enroll.issuer:
        case "est":
            return est.EstIssuer(url=url, ca_file=ca_file, token=secret, pair=pair, proxy=proxy)
        case "cfssl":
            return cfssl.CfsslIssuer(
                url=url, ca_file=ca_file, token=secret, profile=enroll.profile, pair=pair, proxy=proxy
            )
        case "manual":
            return manual.ManualIssuer()
        case _:
            if zone_missing(enroll.issuer, url=url, zone_id=enroll.zone_id):
                raise ConfigError("enroll.zone_id: is empty, and Cloudflare's API signs for a zone", hint=ZONE_ID)
            return cloudflare.CloudflareIssuer(
                url=url, zone_id=enroll.zone_id, ca_file=ca_file, token=secret, pair=pair, proxy=proxy, wait=wait
            )


def first_issuer(args: argparse.Namespace, config: Config) -> "Issuer":
    """The issuer with a token. Raises NoToken if it takes one and there is none."""
    if config.enroll.issuer == "manual":
        return issuer(config, "")
    if config.enroll.issuer == "cfssl" and not _token_given(args, config):
        return issuer(config, "")  # `sign`, which asks for none
    return issuer(config, token(args, config))


def credentials(args: argparse.Namespace, config: Config) -> "Credentials":
    """How a renewal may be asked for."""
    from agent.enrollment import Credentials

    def by_pair(pair: tuple[str, str]) -> "Issuer":
        # cfssl's key is used again; the pair is for those that ask for it beside
        keyed = config.enroll.issuer == "cfssl" and _token_given(args, config)
        return issuer(config, token(args, config) if keyed else "", pair=pair)

    def by_token() -> "Issuer":
        if by_hand:
            raise Refused("nobody to be asked")
        return first_issuer(args, config)

    by_hand = config.enroll.issuer == "manual"
    able = can_renew(config.enroll.issuer, renew_url=config.enroll.renew_url)
    return Credentials(config.enroll.issuer, by_pair if able else None, by_token, by_hand=by_hand)


def shield_probe(config: Config) -> "Probe":
    """Asks the shield by a GET, which stores nothing."""
    from agent.enrollment import Seen
    from agent.uplink import Uplink

    def probe(pair: tuple[str, str]) -> Seen:
        uplink = Uplink(parts.target(config), pair)
        answer = uplink.get()
        uplink.close()
        if answer.verdict is Verdict.HOLD:
            return Seen.REFUSED
        return Seen.ACCEPTED if answer.status is not None and answer.status < 300 else Seen.UNKNOWN

    return probe


def _token_given(args: argparse.Namespace, config: Config) -> bool:
    return args.token_stdin or bool(args.token_file) or not missing(Path(config.enroll.token_file))


def token(args: argparse.Namespace, config: Config) -> str:
    """The issuer's token, from stdin or a file and never from an argument.

    Raises NoToken if there is none or it is not one line of printable ASCII; its text is in no message.
    """
    if args.token_stdin:
        where, raw = "standard input", sys.stdin.buffer.read(TOKEN_LIMIT + 1) if sys.stdin else b""
    else:
        file = Path(args.token_file or config.enroll.token_file)
        where = str(file)
        try:
            with file.open("rb") as opened:
                if os.fstat(opened.fileno()).st_mode & 0o077:
                    log.warning("token can be read by others", extra={"FILE": where, "HINT": f"chmod 0600 {where}"})
                raw = opened.read(TOKEN_LIMIT + 1)
        except OSError as error:
            hint = f"{ENROLL} --token-file F # or --token-stdin"
            if isinstance(error, PermissionError) and os.geteuid() == 0:  # the units have no right beyond the owner's
                hint = f"sudo chown root: {where}"
            raise NoToken(f"no token: {where}: {error.strerror}", hint=hint) from error
    text = raw.strip()
    if not text or len(raw) > TOKEN_LIMIT or not all(0x21 <= byte <= 0x7E for byte in text):
        raise NoToken(f"no token: {where} does not hold one line of printable ASCII", hint="paste the token alone")
    return text.decode("ascii")
