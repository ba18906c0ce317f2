"""Who signs: the protocol that enrollment is written against, and the table of those who keep it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Issued:
    """The issuer's yes: whatever text holds the certificate, and the issuer's own name for it."""

    certificate_text: str
    issuer_id: str


class Issuer(Protocol):
    """Signs requests. The methods raise TryLater, Refused, UnusableAnswer or ConfigError."""

    @property
    def name(self) -> str:
        """As in the configuration."""
        ...

    @property
    def can_renew(self) -> bool:
        """Whether it signs a renewal for the old certificate alone, without a new token."""
        ...

    def issue(self, request_pem: bytes, *, validity_days: int) -> Issued:
        """Have the request signed. Asking twice gives two certificates: look with `find` after a lost answer."""
        ...

    def find(self, request_pem: bytes) -> Issued | None:
        """A certificate in force that was issued for the same key earlier; None if there is none or no list."""
        ...
