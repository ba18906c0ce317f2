"""A key and its certificate as one PKCS#12 file (RFC 7292), as phones, browsers and Java take it.

Never without a password: an unencrypted file opens as an empty one in Java and not at all elsewhere.
"""

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

Encryption = Literal["aes", "3des"]

ROUNDS: Final = 50_000  # of the key derivation, modern form; Java 17 needs 0.1 s for them, 1.8 s for 600,000


def bundle(certificate_pem: bytes, key_pem: bytes, *, password: str, encryption: Encryption) -> bytes:
    """The two as PKCS#12, named after the certificate's common name.

    `aes` is PBES2 with AES-256 and a MAC of SHA-256; `3des` is what iOS and macOS before 2023 and Android up to
    12 open, all of it with SHA-1.
    Raises ValueError if the password is empty, or the key cannot be read or is not the certificate's.
    """
    from typing import cast

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.serialization import pkcs12
    from cryptography.x509.oid import NameOID

    if not password:
        raise ValueError("the password is empty")
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (TypeError, ValueError) as error:
        raise ValueError("the key cannot be taken out of its file: it is encrypted, or not in it") from error
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise ValueError("the key is not the certificate's")
    builder = serialization.PrivateFormat.PKCS12.encryption_builder()
    if encryption == "aes":
        builder = (
            builder.kdf_rounds(ROUNDS)
            .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
            .hmac_hash(hashes.SHA256())
        )
    else:
        builder = builder.kdf_rounds(2048).key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        builder = builder.hmac_hash(hashes.SHA1())  # noqa: S303 - Apple refuses any other beside 3DES
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    friendly = str(names[0].value) if names else "client"
    own = cast("ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey", key)
    return pkcs12.serialize_key_and_certificates(
        friendly.encode(), own, certificate, None, builder.build(password.encode())
    )


def plain_key(key_pem: bytes) -> bytes:
    """The key as unencrypted PKCS#8 PEM, whatever form it had; raises ValueError if it cannot be read."""
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(key_pem, password=None)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
