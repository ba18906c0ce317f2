"""What may be signed: the authority's own rules for name, key and validity, whatever a request would like.

Pure: bytes in, an applicant or a refusal out.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from agent.devshield.csr import UNREADABLE

NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?")
RSA_BITS: Final = range(2048, 4097)  # above it a signature costs the edge more than it is worth
CURVES: Final = ("secp256r1", "secp384r1")


class NotAllowed(Exception):
    """The policy refuses the request; the message is for the device's operator."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`names` are patterns in which `*` stands for part of one label; `days` is every certificate's life."""

    names: tuple[str, ...]
    days: int = 90


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks: the name it wants, and the SHA-256 (hex) of its public key, which is what it is known by.

    `csr` is its request as PEM, without what else came with it.
    """

    name: str
    key: str
    csr: str


def examine(csr_pem: bytes) -> Applicant:
    """The applicant of a request whose signature, key, name and alternative names are in order.

    The name is the one common name; alternative names may repeat it and say nothing else, because the issuer
    signs the request as it is. Raises NotAllowed.
    """
    try:
        request = x509.load_pem_x509_csr(csr_pem)
        signed = request.is_signature_valid
        names = [str(each.value) for each in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        beside = _alternative_names(request)
        key = key_of(request)
        strong = _strong(request.public_key())
    except UNREADABLE as error:
        raise NotAllowed("csr: is not a certificate request") from error
    if not signed:
        raise NotAllowed("csr: its signature does not verify")
    if not strong:
        raise NotAllowed("csr: the key must be P-256, P-384, or RSA of 2048 to 4096 bits")
    if len(names) != 1 or not NAME.fullmatch(names[0]):
        raise NotAllowed("csr: must have one common name of 1 to 64 lower-case letters, digits, dots and hyphens")
    if set(beside) - {names[0]}:
        raise NotAllowed("csr: has alternative names beside its common name")
    return Applicant(names[0], key, request.public_bytes(serialization.Encoding.PEM).decode())


def allows(policy: Policy, name: str) -> bool:
    """Whether a device may have that name when its token does not say which."""
    patterns = (re.escape(pattern).replace(r"\*", "[a-z0-9-]+") for pattern in policy.names)
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def key_of(signed: x509.Certificate | x509.CertificateSigningRequest) -> str:
    """SHA-256 (hex) of the SubjectPublicKeyInfo."""
    spki = signed.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def _alternative_names(request: x509.CertificateSigningRequest) -> list[str]:
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def _strong(key: object) -> bool:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.curve.name in CURVES
    return isinstance(key, rsa.RSAPublicKey) and key.key_size in RSA_BITS
