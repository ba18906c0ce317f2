"""Private keys as PEM. Only keys that the agent made itself are ever opened here; others may be a TPM's."""

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

# PKCS#8 (RFC 5958), PKCS#1 (RFC 8017 A.1.2), SEC1 (RFC 5915), and what a provider's loader calls its own
_KEY: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)
_PLAIN: Final = (b"PRIVATE KEY", b"RSA PRIVATE KEY", b"EC PRIVATE KEY")


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


def load_key(key_pem: bytes) -> "PrivateKey":
    """The key as an object. Raises ValueError or TypeError if it is none or encrypted."""
    from typing import cast

    from cryptography.hazmat.primitives import serialization

    return cast("PrivateKey", serialization.load_pem_private_key(key_pem, password=None))


def first_key(text: bytes) -> bytes | None:
    """The first PEM private key of the text, of whatever kind, its lines ended as Unix does; None if there is none."""
    found = _KEY.search(text.replace(b"\r", b""))
    return found.group(0) + b"\n" if found else None


def held_elsewhere(key_pem: bytes) -> bool:
    """Whether the file only leads to the key, as a TPM's `TSS2 PRIVATE KEY` does: told by its label alone."""
    found = _KEY.search(key_pem)
    return found is not None and found.group(1) not in {*_PLAIN, b"ENCRYPTED PRIVATE KEY"}
