"""Signing requests (PKCS#10, RFC 2986) as PEM: made, compared, and named by their key."""

import ipaddress
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from agent.errors import UnusableAnswer
from agent.pem.keys import load_key
from agent.pem.unreadable import unreadable

if TYPE_CHECKING:
    from cryptography import x509

    from agent.pem.keys import PrivateKey

    Keyed = x509.Certificate | x509.CertificateSigningRequest | PrivateKey

# RFC 1123 §2.1: labels of letters, digits and inner hyphens, 63 at most, the last one not a number
DNS_NAME: Final = re.compile(r"(?:(?!-)[A-Za-z0-9-]{1,63}(?<!-)\.)*(?!-)(?![0-9]+\Z)[A-Za-z0-9-]{1,63}(?<!-)", re.ASCII)


def signing_request(key_pem: bytes, *, name: str, subject: Mapping[str, str], like: bytes | None = None) -> bytes:
    """A request signed with the key, as PEM.

    The common name is `name`, and so is the one SAN if the name is a DNS name or an address; `subject` has the
    X.520 abbreviations C, ST, L, O, OU, empty ones left out, in the order of the tutorial's csr.json. With
    `like`, a certificate as PEM, subject and SAN are that one's, as a renewal wants them (RFC 7030 §4.2.2).
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    builder = x509.CertificateSigningRequestBuilder()
    if like is None:
        builder = builder.subject_name(_subject(name, subject))
        names = _general_names(name)
    else:
        before = x509.load_pem_x509_certificate(like)
        builder = builder.subject_name(before.subject)
        names = _names_of(before)
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return builder.sign(load_key(key_pem), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _subject(name: str, words: Mapping[str, str]) -> "x509.Name":
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    oids = {
        "C": NameOID.COUNTRY_NAME,
        "ST": NameOID.STATE_OR_PROVINCE_NAME,
        "L": NameOID.LOCALITY_NAME,
        "O": NameOID.ORGANIZATION_NAME,
        "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    }
    attributes = [x509.NameAttribute(oids[word], words[word]) for word in oids if words.get(word)]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_names(name: str) -> "x509.SubjectAlternativeName | None":
    from cryptography import x509

    try:
        return x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))])
    except ValueError:
        pass
    return x509.SubjectAlternativeName([x509.DNSName(name)]) if DNS_NAME.fullmatch(name) else None


def _names_of(certificate: "x509.Certificate") -> "x509.SubjectAlternativeName | None":
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    except unreadable() as error:
        raise UnusableAnswer(f"the names of the certificate in force cannot be read: {error}") from error


def public_bytes(keyed: "Keyed") -> bytes:
    """The SubjectPublicKeyInfo as DER."""
    from cryptography.hazmat.primitives import serialization

    return keyed.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_sha256(keyed: "Keyed") -> str:
    """SHA-256 of the SubjectPublicKeyInfo, hex: the name of a key that gives nothing away."""
    import hashlib

    return hashlib.sha256(public_bytes(keyed)).hexdigest()


def is_of(keyed: "Keyed", public: bytes) -> bool:
    """Whether it is of that key; False too for a kind of key that cannot be read here."""
    try:
        return public_bytes(keyed) == public
    except unreadable():
        return False


def same_key(request_pem: bytes, other_request_pem: bytes) -> bool:
    """Whether two requests are of one key: texts are never compared, issuers echo them with other line ends.

    False too if the other one cannot be read.
    """
    from cryptography import x509

    public = public_bytes(x509.load_pem_x509_csr(request_pem))
    try:
        return is_of(x509.load_pem_x509_csr(other_request_pem), public)
    except unreadable():
        return False


def belong_together(key_pem: bytes, request_pem: bytes) -> bool:
    """Whether the request was made with the key; False too if one of the two is damaged."""
    from cryptography import x509

    try:
        return public_bytes(load_key(key_pem)) == public_bytes(x509.load_pem_x509_csr(request_pem))
    except (ValueError, TypeError):
        return False


def public_key_sha256(request_pem: bytes) -> str:
    """`public_sha256` of the request."""
    from cryptography import x509

    return public_sha256(x509.load_pem_x509_csr(request_pem))


def request_der(request_pem: bytes) -> bytes:
    """The request in the form that EST carries."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    return x509.load_pem_x509_csr(request_pem).public_bytes(serialization.Encoding.DER)
