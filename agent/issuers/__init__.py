"""Who signs: the protocol that enrollment is written against, and which of them renew.

An issuer is made with what it is shown: a token, or the pair in force. So a renewal is the same question with
another credential, and enrollment need not know the difference.
"""

from typing import Final, Protocol

from agent.record import dataclass

NAMES: Final = ("cloudflare", "est", "cfssl", "manual")
ZONE_ID: Final = 'put zone_id = "…" below [enroll]; the zone\'s overview page shows it'  # the hint when it is missing


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
        """Have the request signed. Asking twice may give two certificates: look with `find` after a lost answer."""
        ...

    def find(self, request_pem: bytes) -> Issued | None:
        """A certificate in force that was issued for the same key earlier; None if there is none or no list."""
        ...

    def reach(self) -> str:
        """A question that costs nothing, for a rehearsal; gives what answered, in words."""
        ...

    def settle(self, *, old_id: str, pair: tuple[str, str]) -> str:
        """The new pair is in force and accepted: the certificate before (the issuer's name for it, if known) may go.

        Gives what was done about it, empty if that is nothing.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


def can_renew(issuer: str, *, renew_url: str) -> bool:
    """Whether that issuer renews: Cloudflare's own API cannot, and nobody signs a `manual` request by himself.

    cfssl signs whatever comes with its key, or over a connection that it lets in.
    """
    return issuer in {"est", "cfssl"} or (issuer == "cloudflare" and bool(renew_url))


def zone_missing(issuer: str, *, url: str, zone_id: str) -> bool:
    """Whether Cloudflare's own API is to sign, which does so for a zone, and nobody has said for which."""
    return issuer == "cloudflare" and not zone_id and "://api.cloudflare.com/" in url
