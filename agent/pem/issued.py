"""Whether an issued certificate may be used for what was requested."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agent.certificate import parse
from agent.errors import UnusableAnswer
from agent.pem.request import public_bytes, public_sha256
from agent.pem.unreadable import unreadable
from agent.printable import printable

if TYPE_CHECKING:
    from cryptography import x509

LIFE_DAYS: Final = 1  # issuers round; more of a difference than this is worth a note


def check_issued(
    certificate_pem: bytes, *, request_pem: bytes, now: datetime, validity_days: int | None = None
) -> list[str]:
    """Notes on a certificate that may be used for the request; empty when it is as asked.

    Raises UnusableAnswer if it is for another key (with both keys' SHA-256), or as `check_usable`.
    """
    from cryptography import x509

    notes = []
    request = x509.load_pem_x509_csr(request_pem)
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        if public_bytes(certificate) != public_bytes(request):
            raise UnusableAnswer(
                "the issued certificate is for another key than the one of the request"
                f" (it has {public_sha256(certificate)[:16]}…, the request {public_sha256(request)[:16]}…)"
            )
        if certificate.subject != request.subject:
            names = certificate.subject.rfc4514_string(), request.subject.rfc4514_string()
            notes.append(f"issued to {printable(names[0], 200)}, asked as {names[1]}")
    except unreadable() as error:
        raise _odd(error) from error
    notes = check_usable(certificate_pem, now=now) + notes
    begin, end = validity(certificate)
    life = (end - begin).total_seconds() / 86_400
    if validity_days is not None and abs(life - validity_days) > LIFE_DAYS:
        notes.append(f"valid for {life:.0f} days, asked for {validity_days}")
    return notes


def check_usable(certificate_pem: bytes, *, now: datetime) -> list[str]:
    """Notes on a certificate that may be shown as a client's, whoever has its key.

    Raises UnusableAnswer if it has expired, may not authenticate a client, or cannot be read. That it begins in the
    future is a note: the clock may be slow.
    """
    from cryptography import x509

    try:
        parse(certificate_pem)  # as the daemon reads it
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        begin, end = validity(certificate)
        client = _may_be_client(certificate)
    except unreadable() as error:
        raise _odd(error) from error
    if end <= now:
        raise UnusableAnswer(
            f"the certificate has expired already (not after {end:%Y-%m-%dT%H:%M:%SZ})",
            hint="timedatectl # if this clock is right, have another one made",
        )
    if not client:
        raise UnusableAnswer(
            "the certificate may not authenticate a client (by its key usage)", hint="have one made with clientAuth"
        )
    return [f"not valid before {begin:%Y-%m-%dT%H:%M:%SZ}: this clock is behind the issuer's"] * (begin > now)


def _odd(error: Exception) -> UnusableAnswer:
    return UnusableAnswer(f"the issuer's certificate cannot be read: {error}")


def validity(certificate: "x509.Certificate") -> tuple[datetime, datetime]:
    """Not before and not after in UTC; cryptography 42 renamed the properties and warns at the old ones."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    begin, end = certificate.not_valid_before, certificate.not_valid_after
    return begin.replace(tzinfo=UTC), end.replace(tzinfo=UTC)


def _may_be_client(certificate: "x509.Certificate") -> bool:
    """As OpenSSL judges the purpose `sslclient`, which is what an edge asks it; an authority's own may not."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.ExtendedKeyUsage) and not (
            ExtendedKeyUsageOID.CLIENT_AUTH in value or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in value
        ):
            return False
        if isinstance(value, x509.KeyUsage) and not (value.digital_signature or value.key_agreement):
            return False
    return True
