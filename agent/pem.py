"""Keys, signing requests and certificates as PEM bytes; the only module of the agent that imports cryptography.

Bytes in, bytes out: who may read the files and when they are on disk is `identity`'s business.
"""

import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.certificate import first_pem
from agent.errors import UnusableAnswer

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def new_key(key_type: str) -> bytes:
    """A fresh private key as unencrypted PKCS#8 PEM; `p256`, or `rsa2048` for edges that want RSA."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key: PrivateKey
    if key_type == "p256":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def signing_request(key_pem: bytes, *, name: str, subject: Mapping[str, str]) -> bytes:
    """A PKCS#10 request (RFC 2986) as PEM, signed with the key.

    The common name and the one SAN are `name`; `subject` has the X.520 abbreviations C, ST, L, O, OU, empty
    ones left out, in the order of the tutorial's csr.json.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import NameOID

    oids = {
        "C": NameOID.COUNTRY_NAME,
        "ST": NameOID.STATE_OR_PROVINCE_NAME,
        "L": NameOID.LOCALITY_NAME,
        "O": NameOID.ORGANIZATION_NAME,
        "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    }
    attributes = [x509.NameAttribute(oids[word], subject[word]) for word in oids if subject.get(word)]
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name(attributes))
        .add_extension(x509.SubjectAlternativeName([_general_name(name)]), critical=False)
    )
    request = builder.sign(_load_key(key_pem), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def extract_certificate(text: str | bytes) -> bytes:
    """The first certificate of the text as clean PEM: out of PEM with any line ends, or out of a JSON answer.

    The tutorial's own `sensor.pem` is the issuer's whole JSON with the quotes stripped and the newlines
    expanded; `ssl` cannot load it, so what it holds is written anew.
    Raises UnusableAnswer if there is no certificate or it is not X.509.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    raw = text.encode() if isinstance(text, str) else text
    block = first_pem(raw.replace(b"\\r", b"").replace(b"\\n", b"\n").replace(b"\r", b""))
    if block is None:
        raise UnusableAnswer("the issuer's answer holds no PEM certificate")
    try:
        certificate = x509.load_pem_x509_certificate(block)
    except ValueError as error:
        raise UnusableAnswer(f"the issuer's certificate cannot be read: {error}") from error
    return certificate.public_bytes(serialization.Encoding.PEM)


def check_issued(certificate_pem: bytes, *, request_pem: bytes, now: datetime) -> list[str]:
    """Notes on a certificate that may be used for the request; empty when it is as asked.

    Raises UnusableAnswer if it is for another key, has expired, is more than a day in the future (issuers
    backdate by minutes, a device may be slow by as many), or may not authenticate a client.
    """
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(certificate_pem)
    request = x509.load_pem_x509_csr(request_pem)
    if _public_bytes(certificate) != _public_bytes(request):
        raise UnusableAnswer("the issued certificate is for another key than the one of the request")
    begin, end = validity(certificate)
    if end <= now:
        raise UnusableAnswer(f"the issued certificate has expired already (not after {end:%Y-%m-%dT%H:%M:%SZ})")
    if (begin - now).total_seconds() > 86_400:
        raise UnusableAnswer(f"the issued certificate is not valid before {begin:%Y-%m-%dT%H:%M:%SZ}")
    if not _may_be_client(certificate):
        raise UnusableAnswer("the issued certificate may not authenticate a client (extended key usage)")
    notes = []
    if begin > now:
        notes.append(f"not valid before {begin:%Y-%m-%dT%H:%M:%SZ}: this clock is behind the issuer's")
    if certificate.subject != request.subject:
        notes.append(f"issued to {certificate.subject.rfc4514_string()}, asked as {request.subject.rfc4514_string()}")
    return notes


def same_key(request_pem: bytes, other_request_pem: bytes) -> bool:
    """Whether two requests are of one key: texts are never compared, issuers echo them with other line ends."""
    from cryptography import x509

    return _public_bytes(x509.load_pem_x509_csr(request_pem)) == _public_bytes(
        x509.load_pem_x509_csr(other_request_pem)
    )


def public_key_sha256(request_pem: bytes) -> str:
    """SHA-256 of the request's SubjectPublicKeyInfo, hex: the name of a key that gives nothing away."""
    import hashlib

    from cryptography import x509

    return hashlib.sha256(_public_bytes(x509.load_pem_x509_csr(request_pem))).hexdigest()


def validity(certificate: "x509.Certificate") -> tuple[datetime, datetime]:
    """Not before and not after in UTC; cryptography 42 renamed the properties and warns at the old ones."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    begin, end = certificate.not_valid_before, certificate.not_valid_after
    return begin.replace(tzinfo=UTC), end.replace(tzinfo=UTC)


def _load_key(key_pem: bytes) -> "PrivateKey":
    from typing import cast

    from cryptography.hazmat.primitives import serialization

    return cast("PrivateKey", serialization.load_pem_private_key(key_pem, password=None))


def _public_bytes(signed: "x509.Certificate | x509.CertificateSigningRequest") -> bytes:
    from cryptography.hazmat.primitives import serialization

    return signed.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _general_name(name: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _may_be_client(certificate: "x509.Certificate") -> bool:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage
