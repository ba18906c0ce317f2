"""The pair in force and the request under way: what a person must do about them, and until when."""

import errno
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from agent.checks.finding import AS_ROOT, Check, fail, ok, warn
from agent.errors import ENROLL, RENEW
from agent.identity import Identity, IdentityState
from agent.identity_store import IdentityStore
from agent.issuers import ZONE_ID
from agent.issuers.manual import WAY
from agent.record import dataclass

NEAR_DAYS: Final = 30
BEHIND: Final = "timedatectl status # is this clock behind?"
DENIED: Final = os.strerror(errno.EACCES)
STAGES: Final = {
    "keyed": "a request is begun and was not sent",
    "waiting": "a request was sent and is not answered, or waits for approval",
    "issued": "a certificate has come and is not in force: the shield refuses it, or it was cut off",
}


@dataclass(frozen=True, slots=True)
class Issuing:
    """What the configuration says of certificates. `wants_token`: the issuer signs nothing without one; `by_hand`: a
    person has requests signed.

    `zone_token`: it is one for a whole zone; `zone_missing`: the issuer wants to know which, and nobody has said it.
    """

    able: bool
    validity_days: int
    token_file: Path
    wants_token: bool
    zone_token: bool
    zone_missing: bool
    by_hand: bool = False


def identity(
    found: Identity, how: Issuing, *, now: datetime, exposed: tuple[str, str] | None, is_root: bool = True
) -> Iterator[Check]:
    """The pair that the device shows. Who is not root may not read it, which is no fault of it."""
    says = found.certificate
    if found.state is IdentityState.BROKEN and not is_root and found.detail.endswith(DENIED):
        yield warn("identity", f"the pair may not be seen by this user: {found.detail}", AS_ROOT)
    elif found.state is not IdentityState.ACTIVE or not says:
        yield fail("identity", found.detail, found.fix)
    elif says.not_before > now:
        saw = f"{says.name} is valid from {says.not_before:%Y-%m-%d %H:%M} on, later than this clock has it"
        yield warn("identity", saw, BEHIND)
    else:
        days, life = says.days_left(now), says.not_after - says.not_before
        saw = f"{says.name}, {days} days left, sha256 {says.fingerprint_sha256[:16]}…"
        if abs(life - timedelta(days=how.validity_days)) > timedelta(days=1):
            saw += f" (of {life.days} days, {how.validity_days} were asked for)"
        if days < NEAR_DAYS and says.renews_after <= now:
            yield warn("identity", saw, RENEW if how.able else WAY if how.by_hand else f"{ENROLL} --force")
        else:
            yield ok("identity", saw)
    if found.moved:
        yield warn("board", f"another {found.moved} than at enrollment", RENEW)
    if exposed:
        yield warn("key", *exposed)


def token(found: Identity, how: Issuing, *, is_root: bool = True) -> Iterator[Check]:
    """The issuer's token: there when it is needed, private, root's, and gone when it is not."""
    file = how.token_file
    needed = found.state not in {IdentityState.ACTIVE, IdentityState.BROKEN}
    if needed and how.zone_missing:
        saw = "enroll.zone_id is empty, and Cloudflare's API signs for a zone"
        yield fail("issuer", saw, ZONE_ID)
    try:
        status = file.stat()
    except FileNotFoundError:
        if needed and how.wants_token:
            get = f"put your issuer's token there (mode 0600), or: {ENROLL} --token-stdin"
            yield warn("token", f"none at {file}, and this device has no certificate", get)
        return
    except OSError as error:
        yield warn("token", f"{file}: {error.strerror}", f"run this as root; namei -l {file}")
        return
    mode, owner = status.st_mode & 0o777, f"sudo chown root: {file}" if is_root and status.st_uid else ""
    if mode & 0o077:
        fix = f"sudo chmod 0600 {file}" + (owner and f"; {owner}")
        yield warn("token", f"{file} may be read by others (mode {mode:04o})", fix)
    elif owner:
        yield warn("token", f"{file} belongs to user {status.st_uid}, and the units may read root's alone", owner)
    elif not needed and how.zone_token:
        yield warn("token", f"{file} is still here, and signs for the whole zone", f"sudo rm {file}")


def under_way(directory: Path, root: Path, found: Identity, *, now: datetime, by_hand: bool = False) -> Iterator[Check]:
    """The enrollment at work, or the request that one has left; nothing where this user may not look."""
    if _locked(directory / "lock", root):
        yield ok("enrollment", "one is at work now; another one would wait for it (exit code 75)")
        return
    stage = IdentityStore(directory).request.stage()
    if stage is not None:
        command = ENROLL
        if by_hand:
            command = WAY
        elif found.state is IdentityState.ACTIVE and found.certificate:  # `enroll` has nothing to do then
            command = RENEW if found.certificate.renews_after <= now else f"{ENROLL} --force"
        yield warn("enrollment", STAGES[stage], f"{command} # it goes on with the same key")


def _locked(file: Path, root: Path) -> bool:
    """Whether somebody holds the lock, by the kernel's list: trying it would keep a real enrollment out."""
    try:
        inode, locks = file.stat().st_ino, (root / "proc/locks").read_text()
    except OSError:
        return False
    return any(f":{inode} " in line and "FLOCK" in line for line in locks.splitlines())
