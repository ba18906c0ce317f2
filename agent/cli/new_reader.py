"""A key and certificate for `identity bundle --name`; the key waits beside the bundle until that is written.

So an answer that is late or lost, a request that waits for approval, and a disk that is full cost neither the token nor
a second certificate: the same command goes on.
"""

import argparse
import json
import os
import stat
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import issuing, parts
from agent.config import Config
from agent.errors import AgentError, CannotWrite, TryLater, UnusableAnswer

if TYPE_CHECKING:
    from agent.issuers import Issued, Issuer


def waiting(out: Path) -> Path:
    """Where the key is until the bundle is written."""
    return out.with_name(f"{out.name}.key")


def enrolled(args: argparse.Namespace, config: Config) -> tuple[bytes, bytes]:
    """Certificate and key, which the issuer has just signed. Raises what issuers do, and CannotWrite."""
    from agent import pem

    kind, subject = "rsa2048" if args.rsa else "p256", asdict(config.enroll.subject)
    wanted = json.dumps([args.name, kind, subject]).encode() + b"\n"
    issuer = issuing.first_issuer(args, config)
    try:
        key = _kept(waiting(args.out), wanted)
        before = key is not None
        if key is None:
            key = pem.new_key(kind)
            waiting(args.out).unlink(missing_ok=True)
            write_new(waiting(args.out), wanted + key)
        request = pem.signing_request(key, name=args.name, subject=subject)
        try:
            issued = _issued(issuer, request, config.enroll.validity_days, before=before)
            certificate = pem.extract_certificate(issued.certificate_text)
            notes = pem.check_issued(certificate, request_pem=request, now=parts.utc_now())
        except AgentError as error:
            if before or isinstance(error, (TryLater, UnusableAnswer)):
                sys.stderr.write(f"  its key waits in {waiting(args.out)}\n")
            else:
                waiting(args.out).unlink(missing_ok=True)
            raise
    finally:
        issuer.close()
    for note in notes:
        sys.stderr.write(f"  note: {note}\n")
    return certificate, key


def _kept(file: Path, wanted: bytes) -> bytes | None:
    """The key that an earlier try for the same left. Raises CannotWrite for a file that somebody else could have made."""
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            seen = os.fstat(stream.fileno())
            # readable by others is what a FAT stick makes of 0600
            own = stat.S_ISREG(seen.st_mode) and not seen.st_mode & 0o022 and seen.st_uid == os.geteuid()
            text = stream.read() if own else None
    except FileNotFoundError:
        return None
    except OSError:
        text = None
    if text is None:
        raise CannotWrite(
            f"{file}: is no key that this user left there", hint=f"ls -ld {file} # give the bundle another name"
        )
    return text.removeprefix(wanted) if text.startswith(wanted) and text.endswith(b"-----\n") else None


def _issued(issuer: "Issuer", request: bytes, days: int, *, before: bool) -> "Issued":
    """Signed now, or before; a lost answer is looked for at once."""
    found = issuer.find(request) if before else None
    if found is not None:
        return found
    try:
        return issuer.issue(request, validity_days=days)
    except TryLater as error:
        try:
            found = issuer.find(request)
        except AgentError:
            found = None
        if found is None:
            raise error from None
        return found


def write_new(file: Path, content: bytes) -> None:
    """Mode 0600 from the first byte on, and on disk. Raises CannotWrite, and then nothing is left of it."""
    made = False
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            made = True
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        if made:
            file.unlink()
        raise CannotWrite(
            f"{file} cannot be written: {error.strerror}", hint=f"ls -ld {file.parent}; df {file.parent}"
        ) from error
