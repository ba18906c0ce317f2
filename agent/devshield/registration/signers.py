"""Who signs for the registration authority: the zone, through its API, or a certificate authority of its own."""

from contextlib import suppress
from typing import Any, Final, Protocol

from cryptography import x509

from agent.certificate import parse
from agent.devshield.authority import Authority
from agent.devshield.csr import UNREADABLE
from agent.devshield.registration.policy import key_of
from agent.devshield.registration.records import Signed
from agent.devshield.zone_client import ZoneClient
from agent.errors import Refused, UnusableAnswer

PER_PAGE: Final = 50


class Signer(Protocol):
    """Signs requests that the policy has let through. The methods raise AgentError."""

    @property
    def name(self) -> str:
        """For the log."""
        ...

    def sign(self, csr: str, *, days: int) -> Signed:
        """A certificate for the request; asked twice, it may make two."""
        ...

    def find(self, key: str) -> Signed | None:
        """A certificate in force for that public key (SHA-256, hex), after an answer that got lost."""
        ...

    def revoke(self, issuer_id: str) -> None:
        """Put a certificate out of force; once more does no harm."""
        ...


class CaSigner:
    """A certificate authority in a directory. It keeps no list: what is revoked is missing in the allow-list."""

    name: Final = "own authority"

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    def sign(self, csr: str, *, days: int) -> Signed:
        """See Signer."""
        return Signed(self._authority.sign(csr.encode(), validity_days=days).decode(), "")

    def find(self, key: str) -> Signed | None:  # noqa: ARG002 - the protocol's
        """See Signer."""
        return None

    def revoke(self, issuer_id: str) -> None:
        """See Signer."""


class ZoneSigner:
    """The certificate authority of a Cloudflare zone."""

    name: Final = "zone"

    def __init__(self, client: ZoneClient) -> None:
        self._client = client

    def sign(self, csr: str, *, days: int) -> Signed:
        """See Signer."""
        return _signed(self._client.call("POST", "/client_certificates", {"csr": csr, "validity_days": days}))

    def find(self, key: str) -> Signed | None:
        """See Signer."""
        page = 1
        while results := self._client.call(
            "GET", "/client_certificates", query={"status": "active", "page": page, "per_page": PER_PAGE}
        ):
            if not isinstance(results, list):
                raise UnusableAnswer("the zone's answer is no list of certificates")
            for result in results:
                with suppress(UnusableAnswer):  # somebody else's, of a kind that cannot be read here
                    if key_in(signed := _signed(result)) == key:
                        return signed
            page += 1
        return None

    def revoke(self, issuer_id: str) -> None:
        """See Signer."""
        try:
            self._client.call("DELETE", f"/client_certificates/{issuer_id}")
        except Refused:
            status = self._client.call("GET", f"/client_certificates/{issuer_id}").get("status")
            if status not in {"revoked", "pending_revocation"}:
                raise


def key_in(signed: Signed) -> str:
    """SHA-256 (hex) of the public key that was certified; raises UnusableAnswer if that cannot be read."""
    try:
        parse(signed.certificate.encode())
        return key_of(x509.load_pem_x509_certificate(signed.certificate.encode()))
    except UNREADABLE as error:
        raise UnusableAnswer(f"the certificate cannot be read: {error}") from error


def _signed(result: Any) -> Signed:
    certificate = result.get("certificate") if isinstance(result, dict) else None
    if not isinstance(certificate, str):
        raise UnusableAnswer("the zone's answer holds no certificate")
    return Signed(certificate.replace("\r\n", "\n"), str(result.get("id", "")))
