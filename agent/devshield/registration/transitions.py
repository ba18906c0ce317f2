"""How an entry goes from one state to another.

Pure: each is asked about the entry as it is on disk at that moment, so that what was decided meanwhile stays.
"""

from dataclasses import replace
from typing import Final

from agent.certificate import parse
from agent.devshield.registration.records import IN_FORCE, Entry, Signed, State

FROM: Final[dict[State, tuple[State, ...]]] = {
    "admitted": ("waiting",),
    "refused": ("waiting",),
    "asked": ("admitted", "asked"),
    "replaced": ("issued",),
    "revoked": (*IN_FORCE, "revoked"),  # once more, for a signer that was not ready
}


def moved(entry: Entry, state: State) -> Entry | None:
    """The entry in that state; None if it cannot come there any more."""
    return replace(entry, state=state) if entry.state in FROM[state] else None


def seen(entry: Entry) -> Entry | None:
    """Somebody has come with its certificate; None if that is not in force."""
    return replace(entry, seen=True) if entry.state == "issued" else None


def certified(entry: Entry, signed: Signed) -> Entry:
    """With the certificate, which is in force only if nobody has said no since the signer was asked for it.

    The first certificate stays. Raises ValueError if it cannot be read.
    """
    if entry.certificate:
        return entry
    says = parse(signed.certificate.encode())
    return replace(
        entry,
        state="issued" if entry.state == "asked" else entry.state,
        certificate=signed.certificate,
        issuer_id=signed.issuer_id or says.fingerprint_sha256[:32],
        fingerprint_sha256=says.fingerprint_sha256,
        not_after=says.not_after.timestamp(),
    )
