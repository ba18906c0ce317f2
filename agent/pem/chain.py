"""Certificates out of whatever text they come in, the device's own first and each followed by its issuer."""

import re
from typing import TYPE_CHECKING, Final

from agent.errors import UnusableAnswer
from agent.pem.request import is_of, public_bytes
from agent.pem.unreadable import unreadable

if TYPE_CHECKING:
    from cryptography import x509

_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
MOST: Final = 20  # certificates of one text; a chain has three or four


def extract_certificate(text: str | bytes) -> bytes:
    """The first certificate of the text as clean PEM: out of PEM with any line ends, or out of a JSON answer.

    The tutorial's own `sensor.pem` is the issuer's whole JSON with the quotes stripped and the newlines
    expanded; `ssl` cannot load it, so what it holds is written anew.
    Raises UnusableAnswer if there is no certificate or it is not X.509.
    """
    return _written(_certificates(text)[0])


def extract_chain(text: str | bytes, *, request_pem: bytes) -> bytes:
    """The certificate for the request's key, then those that lead towards the root, as far as the text has them.

    The order in the text does not matter; a self-signed root and certificates of somebody else are left out.
    Without one for that key the first stands alone, for `check_issued` to refuse.
    Raises UnusableAnswer as `extract_certificate`.
    """
    from cryptography import x509

    wanted = public_bytes(x509.load_pem_x509_csr(request_pem))
    found = _certificates(text)
    own = next((each for each in found if is_of(each, wanted)), found[0])
    return b"".join(map(_written, _path(own, found)))


def possible_chains(text: str | bytes) -> list[bytes]:
    """A chain for each certificate of the text that issued none of the others, most likely the device's own first.

    For keys that cannot be opened: whose it is, is found by trying. Raises UnusableAnswer as `extract_certificate`.
    """
    found = _certificates(text)
    leaves = [each for each in found if not any(_issued(each, other) for other in found if other is not each)]
    return [b"".join(map(_written, _path(leaf, found))) for leaf in leaves or found]


def from_pkcs7(der: bytes) -> bytes:
    """The certificates of a certs-only PKCS#7 (RFC 8551 §3.8) as PEM, in its order.

    Raises UnusableAnswer if it is none or holds none.
    """
    from cryptography.hazmat.primitives.serialization import pkcs7

    try:
        found = pkcs7.load_der_pkcs7_certificates(der)
    except unreadable() as error:
        raise UnusableAnswer(f"the issuer's answer is no PKCS#7 with certificates: {error}") from error
    if not found:
        raise UnusableAnswer("the issuer's answer holds no certificate")
    return b"".join(map(_written, found))


def _certificates(text: str | bytes) -> "list[x509.Certificate]":
    """Those that can be read: an odd one above them is no reason to have none."""
    from cryptography import x509

    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    plain = raw.replace(b"\\r", b"").replace(b"\\n", b"\n").replace(b"\r", b"")
    blocks = _CERTIFICATE.findall(plain)[:MOST]
    if not blocks:
        raise UnusableAnswer("the issuer's answer holds no PEM certificate")
    found, why = [], ""
    for block in blocks:
        try:
            certificate = x509.load_pem_x509_certificate(block)
            certificate.issuer, certificate.subject  # noqa: B018 - they are read here
        except unreadable() as error:
            why = why or str(error)
        else:
            found.append(certificate)
    if not found:
        raise UnusableAnswer(f"the issuer's certificate cannot be read: {why}")
    return found


def _path(own: "x509.Certificate", found: "list[x509.Certificate]") -> "list[x509.Certificate]":
    path = [own]
    while True:
        above = [each for each in found if each not in path and each.issuer != each.subject and _issued(each, path[-1])]
        if not above:
            return path
        path.append(above[0])


def _issued(issuer: "x509.Certificate", certificate: "x509.Certificate") -> bool:
    """By name (RFC 5280 §6.1): signatures are for those to check who trust the chain."""
    return issuer.subject == certificate.issuer


def _written(certificate: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)
