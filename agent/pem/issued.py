"""Whether an issued certificate may be used for what was requested."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agent.errors import UnusableAnswer
from agent.pem.request import public_bytes, public_sha256

if TYPE_CHECKING:
    from cryptography import x509

LIFE_DAYS: Final = 1  # issuers round; more of a difference than this is worth a note


def check_issued(
    certificate_pem: bytes, *, request_pem: bytes, now: datetime, validity_days: int | None = None
) -> list[str]:
    """Notes on a certificate that may be used for the request; empty when it is as asked.

    Raises UnusableAnswer if it is for another key (with both keys' SHA-256), has expired, or may not authenticate a
    client. That it begins in the future is a note: the clock may be slow.
    """
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(certificate_pem)
    request = x509.load_pem_x509_csr(request_pem)
    if public_bytes(certificate) != public_bytes(request):
        raise UnusableAnswer(
            "the issued certificate is for another key than the one of the request"
            f" (it has {public_sha256(certificate)[:16]}…, the request {public_sha256(request)[:16]}…)"
        )
    begin, end = validity(certificate)
    if end <= now:
        raise UnusableAnswer(f"the issued certificate has expired already (not after {end:%Y-%m-%dT%H:%M:%SZ})")
    if not _may_be_client(certificate):
        raise UnusableAnswer("the issued certificate may not authenticate a client (extended key usage)")
    notes = []
    if begin > now:
        notes.append(f"not valid before {begin:%Y-%m-%dT%H:%M:%SZ}: this clock is behind the issuer's")
    if certificate.subject != request.subject:
        notes.append(f"issued to {certificate.subject.rfc4514_string()}, asked as {request.subject.rfc4514_string()}")
    life = (end - begin).total_seconds() / 86_400
    if validity_days is not None and abs(life - validity_days) > LIFE_DAYS:
        notes.append(f"valid for {life:.0f} days, asked for {validity_days}")
    return notes


def validity(certificate: "x509.Certificate") -> tuple[datetime, datetime]:
    """Not before and not after in UTC; cryptography 42 renamed the properties and warns at the old ones."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    begin, end = certificate.not_valid_before, certificate.not_valid_after
    return begin.replace(tzinfo=UTC), end.replace(tzinfo=UTC)


def _may_be_client(certificate: "x509.Certificate") -> bool:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage
