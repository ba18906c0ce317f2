"""`identity bundle`: a key and certificate for a phone, a browser or Java; of this device, or of a new reader."""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from agent.cli import new_reader
from agent.cli.issuing import add_token
from agent.cli.render import write_json
from agent.config import Config, load
from agent.errors import ENROLL, CannotWrite, ConfigError, Refused
from agent.reading import utc_text

PASSWORD_LIMIT: Final = 1024  # bytes
ABOUT: Final = (
    "Write a key and certificate as PKCS#12. Without --name those of this device; with it a new key is made here, "
    "the issuer signs it, and nothing of it stays on this machine but the file. Until then the key waits in OUT.p12.key, "
    "and the same command goes on with it."
)


def add_to(members: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `bundle` to the family."""
    command = members.add_parser(
        "bundle", help="write a .p12 for a phone, a browser or Java", description=ABOUT, parents=[common]
    )
    command.add_argument("out", type=Path, metavar="OUT.p12", help="the file to make, mode 0600")
    password = command.add_mutually_exclusive_group(required=True)
    password.add_argument("--password-file", metavar="F", help="its first line is the password")
    password.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    command.add_argument(
        "--legacy", action="store_true", help="3DES and SHA-1, for phones that say `wrong password` (Android up to 12)"
    )
    command.add_argument("--name", default="", help="a new reader of that name, as ios-bootstrap, enrolled now")
    command.add_argument("--rsa", action="store_true", help="give the new reader an RSA key of 2048 bits, not P-256")
    command.add_argument("--pem", type=Path, metavar="F", help="beside it the certificate and the key (PKCS#8) as PEM")
    add_token(command)
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.set_defaults(handler=bundle)


def bundle(args: argparse.Namespace) -> int:
    """Write the file; 0 then."""
    from agent import pkcs12
    from agent.certificate import parse

    config = load(args.config, issuing=bool(args.name))
    if args.password_stdin and args.token_stdin:
        raise ConfigError("password and token cannot both come from standard input", hint="give --token-file F")
    if args.rsa and not args.name:
        raise ConfigError("--rsa: is for a new reader", hint="give --name")
    if args.pem and os.path.realpath(args.pem) in map(os.path.realpath, (args.out, new_reader.waiting(args.out))):
        raise ConfigError(f"--pem: {args.pem} is the bundle, or where its key waits", hint="give another name")
    for file in (args.out, args.pem):
        if file is not None and os.path.lexists(file):
            raise CannotWrite(f"{file} is there already and is not overwritten", hint=f"rm {file} # or another name")
    password = _password(args)
    for file in filter(None, (args.out, args.pem)):
        new_reader.write_new(file, b"")  # now: the issuer's answer must not be lost for a directory that is missing
        file.unlink()
    certificate, key = new_reader.enrolled(args, config) if args.name else _own_pair(config)
    try:
        content = pkcs12.bundle(certificate, key, password=password, encryption="3des" if args.legacy else "aes")
    except ValueError as error:
        raise ConfigError(
            f"{config.identity.key_file}: {error}", hint="sensor-agent identity bundle --name NAME makes a new key"
        ) from error
    new_reader.write_new(args.out, content)
    if args.pem is not None:
        new_reader.write_new(args.pem, certificate + pkcs12.plain_key(key))
    if args.name:
        new_reader.waiting(args.out).unlink(missing_ok=True)
    says = parse(certificate)
    until = utc_text(says.not_after.timestamp())
    if args.json:
        fields = {"file": str(args.out), "name": says.name, "not_after": until}
        write_json({**fields, "fingerprint_sha256": says.fingerprint_sha256})
    else:
        sys.stdout.write(f"{args.out}: {says.name}, valid until {until}\n")
    return 0


def _own_pair(config: Config) -> tuple[bytes, bytes]:
    """Certificate and key of this device. Raises ConfigError if they cannot be read."""
    files = Path(config.identity.cert_file), Path(config.identity.key_file)
    try:
        return files[0].read_bytes(), files[1].read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{error.filename}: {error.strerror}", hint=f"run as root; {ENROLL}; or give --name"
        ) from error


def _password(args: argparse.Namespace) -> str:
    """The first line of the file or of standard input; its text is in no message. Raises Refused if it is empty."""
    where = "standard input" if args.password_stdin else args.password_file
    try:
        raw = (
            (sys.stdin.buffer.readline(PASSWORD_LIMIT) if sys.stdin else b"")
            if args.password_stdin
            else Path(args.password_file).read_bytes()[:PASSWORD_LIMIT].split(b"\n")[0]
        )
        text = raw.decode().strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"no password: {where}: {error}", hint="give --password-file F") from error
    if not text:
        raise Refused(
            f"no password: {where} begins with an empty line", hint="a bundle without a password opens nowhere"
        )
    if not (text.isascii() and text.isprintable()):
        raise Refused(f"no password: {where}: Java and some phones take printable ASCII only", hint="choose another")
    return text
