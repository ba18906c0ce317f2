"""The pair that the device shows: where it is, whether it loads, what the certificate says. Reads only.

A key is never parsed here: it may be one that only OpenSSL can open (a TPM's), so `ssl` is asked whether the
pair loads. Who makes and switches pairs is `identity_store`.
"""

import errno
import os
import re
import stat
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.binding import UNKNOWN, Board, Match, bound_to, compare, differences
from agent.certificate import Certificate, parse
from agent.errors import ENROLL
from agent.record import dataclass

if TYPE_CHECKING:
    import ssl

# what OpenSSL calls a key of another certificate, of the same kind or of another
MISMATCH: Final = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
NOT_ENROLLED: Final = b"not-enrolled"  # what the unit's SetCredential= default says
CREDENTIAL_NAMES: Final = ("sensor.pem", "sensor-key.pem")


class IdentityState(StrEnum):
    """In the words of `status`."""

    MISSING = "missing"
    ACTIVE = "active"
    EXPIRED = "expired"
    BROKEN = "broken"
    CLONED = "cloned"


@dataclass(frozen=True, slots=True)
class Identity:
    """`pair` is (certificate file, key file), given when it may be used. `fix` is the next command when it may not.

    `moved` says what is not as on the board that the certificate was made for, when it is used all the same.
    """

    state: IdentityState
    pair: tuple[str, str] | None = None
    certificate: Certificate | None = None
    detail: str = ""
    fix: str = ""
    moved: str = ""


def paths(cert_file: str, key_file: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The two files to look at: systemd's credentials when the unit passes them, else the configured ones.

    The configured names are links through `current`, so they are resolved once and both from one generation:
    two links followed one after the other gave a mismatched pair in a third of the loads under a fast writer.
    """
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if directory:
        credentials = tuple(f"{directory}/{name}" for name in CREDENTIAL_NAMES)
        if all(map(os.path.exists, credentials)):
            return credentials[0], credentials[1]
    cert, key = Path(cert_file), Path(key_file)
    try:
        cert_target, key_target = cert.readlink(), key.readlink()
    except OSError:  # plain files, one of them missing, or a directory that may not be looked into
        return str(cert), str(key)
    if cert_target.parent == key_target.parent:
        generation = os.path.realpath(cert.parent / cert_target.parent)
        return f"{generation}/{cert_target.name}", f"{generation}/{key_target.name}"
    return str(cert), str(key)


def signature(files: tuple[str, str]) -> tuple[tuple[int, int, int] | None, ...]:
    """Changes whenever one of the files is replaced or written; None for one that is not there."""

    def of(file: str) -> tuple[int, int, int] | None:
        try:
            status = Path(file).stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    return tuple(map(of, files))


def load(files: tuple[str, str], *, now: datetime, here: Board = UNKNOWN) -> Identity:
    """What the two files amount to on this board; never raises for what they contain or lack."""
    cert_file, key_file = files
    try:
        _regular(cert_file)
        text = Path(cert_file).read_bytes()
    except FileNotFoundError:
        return Identity(IdentityState.MISSING, detail=f"no certificate at {cert_file}", fix=ENROLL)
    except OSError as error:
        return _unreadable(cert_file, error)
    if text.strip() in {b"", NOT_ENROLLED}:
        return Identity(IdentityState.MISSING, detail="not enrolled yet", fix=ENROLL)
    try:
        _regular(key_file)
        with Path(key_file).open("rb"):
            pass
    except FileNotFoundError:
        return Identity(IdentityState.MISSING, detail=f"no key at {key_file}", fix=ENROLL)
    except OSError as error:
        return _unreadable(key_file, error)
    try:
        certificate = parse(text)
    except ValueError as error:
        return Identity(IdentityState.BROKEN, detail=f"{cert_file}: {error}", fix=f"{ENROLL} --force")
    import ssl  # a tenth of the CPU to the first sample, which need not wait for a look at the pair

    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        trial.load_cert_chain(cert_file, key_file, password="")
    except ssl.SSLError as error:
        return Identity(
            IdentityState.BROKEN,
            certificate=certificate,
            detail=_explain(error, files, text),
            fix=f"{ENROLL} --force",
        )
    except OSError as error:
        return _unreadable(key_file, error)
    bound = bound_to(text)
    match = compare(bound, here)
    if match is Match.CLONED:
        detail = (
            f"{cert_file} was made for another board ({differences(bound, here)} differ): this is a copy of its card"
        )
        return Identity(IdentityState.CLONED, None, certificate, detail, f"{ENROLL}, with a token of its own")
    moved = differences(bound, here)
    if certificate.not_after <= now:
        detail = f"the certificate expired on {certificate.not_after:%Y-%m-%d}"
        return Identity(IdentityState.EXPIRED, files, certificate, detail, ENROLL, moved)
    return Identity(IdentityState.ACTIVE, files, certificate, moved=moved)


def _regular(file: str) -> None:
    """Raises OSError for a pipe, which would keep its reader waiting, and for what else is no file."""
    if not stat.S_ISREG(Path(file).stat().st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")


def _explain(error: "ssl.SSLError", files: tuple[str, str], certificate: bytes) -> str:
    """What is wrong with the pair; OpenSSL says no more than `PEM lib` of most of it."""
    cert_file, key_file = files
    if error.reason in MISMATCH:
        return f"the certificate {cert_file} is not for the key {key_file}"
    if not re.search(rb"^-----BEGIN", certificate, re.MULTILINE):
        return f"{cert_file} has its certificate in the middle of a line: it is an issuer's whole answer"
    try:
        key = Path(key_file).read_bytes()
    except OSError as unreadable:
        return f"{key_file} cannot be read: {unreadable.strerror}"
    if b"ENCRYPTED" in key:
        return f"the key {key_file} is encrypted, and nobody is there to be asked for its passphrase"
    if b"-----BEGIN" not in key:
        return f"{key_file} holds no PEM key"
    return f"{cert_file} and {key_file} do not load: {error.reason or error}"


def _unreadable(file: str, error: OSError) -> Identity:
    try:
        status = Path(file).stat()
        whose = f" (mode {status.st_mode & 0o7777:04o}, owned by {status.st_uid}:{status.st_gid})"
    except OSError:
        whose = ""
    return Identity(
        IdentityState.BROKEN,
        detail=f"{file}{whose} cannot be read: {error.strerror or error}",
        fix=f"namei -l {file}",
    )


def exposed(key_file: str) -> tuple[str, str] | None:
    """What is wrong and the next command, when others may read or write the key, or its group write it.

    None when all is well or systemd passes it. That the group reads it is well: Debian lets its services at their keys
    by the group ssl-cert.
    """
    try:
        mode = Path(key_file).stat().st_mode & 0o777
    except OSError:
        return None
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if directory and key_file.startswith(f"{directory}/"):
        return None
    if not mode & 0o027:
        return None
    return f"{key_file} may be read or written by others (mode {mode:04o})", f"sudo chmod 0600 {key_file}"
