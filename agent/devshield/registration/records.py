"""What the authority writes down: a token, by its hash, and a public key with what became of it."""

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

State = Literal["waiting", "admitted", "asked", "issued", "replaced", "revoked", "refused"]

IN_FORCE: Final[tuple[State, ...]] = ("admitted", "asked", "issued")
HASH_LETTERS: Final = 8  # fewer could be a name, or somebody else


@dataclass(frozen=True, slots=True)
class Token:
    """A one-time token. `name` is the only name it is good for, if any; `key` whom it was used by.

    `admitted` says that its device need not wait for an approval; `expires` is in UNIX seconds and ends the
    first use only.
    """

    hash: str
    expires: float
    name: str = ""
    admitted: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One public key and what became of it. `replaces` is the key of the certificate that it renews, if any.

    `asked` is the state between the question to the issuer and its answer; `seen` says that somebody has come
    with the certificate. Times are UNIX seconds.
    """

    key: str
    name: str
    state: State
    csr: str
    since: float
    replaces: str = ""
    certificate: str = ""
    issuer_id: str = ""
    fingerprint_sha256: str = ""
    not_after: float = 0.0
    seen: bool = False


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate as PEM, and what its signer calls it."""

    certificate: str
    issuer_id: str


def hash_of(token: str) -> str:
    """What a token is called where it must not be known."""
    return hashlib.sha256(token.encode()).hexdigest()
