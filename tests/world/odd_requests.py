"""Signing requests that no device of ours would make, by what is odd about them; some are torn, others only unusual."""

import base64
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID

NAME = "sensor-900.devices.example.com"
ELLIPTIC = ec.generate_private_key(ec.SECP256R1())
COMMON = x509.NameAttribute(NameOID.COMMON_NAME, NAME)

# of secp112r1, by `openssl ecparam -name secp112r1 -genkey` and `openssl req`: cryptography loads both, not their key
ODD_CERTIFICATE = b"""-----BEGIN CERTIFICATE-----
MIIBJDCB8KADAgECAhRrBQVmbsGdr/Z71crdVczVrnpL/jAKBggqhkjOPQQDAjAO
MQwwCgYDVQQDDANvZGQwHhcNMjYxMTI5MjE1NzUyWhcNMjYxMjAyMjE1NzUyWjAO
MQwwCgYDVQQDDANvZGQwMjAQBgcqhkjOPQIBBgUrgQQABgMeAARy6RR9tWOLb5Ld
2w5C7g/2RDDpV7qykXkQm5IPo1MwUTAdBgNVHQ4EFgQU/JH0J8ScfiJZqb4Avzse
jZdxoFkwHwYDVR0jBBgwFoAU/JH0J8ScfiJZqb4AvzsejZdxoFkwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgMjADAgAg4K1Fa2M7X8bX+zFZSJJwIONblFtBvB
9cmrW6TT4/g=
-----END CERTIFICATE-----
"""
ODD_REQUEST = b"""-----BEGIN CERTIFICATE REQUEST-----
MH0wSQIBADAOMQwwCgYDVQQDDANvZGQwMjAQBgcqhkjOPQIBBgUrgQQABgMeAARy
6RR9tWOLb5Ld2w5C7g/2RDDpV7qykXkQm5IPoAAwCgYIKoZIzj0EAwIDJAAwIQIO
Ld5NbBTOh4/OJ11wm4ECDwC8FSvCnKsXXJArQpwxGg==
-----END CERTIFICATE REQUEST-----
"""


def odd_requests() -> dict[str, str]:
    """PEM, or what is to look like it."""
    return {**dict(_of_keys()), **dict(_of_names()), **dict(_of_extensions()), **dict(_of_text())}


def _builder(*names: "x509.NameAttribute[str]") -> x509.CertificateSigningRequestBuilder:
    return x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names or (COMMON,)))


def _pem(builder: x509.CertificateSigningRequestBuilder) -> str:
    return _text(builder.sign(ELLIPTIC, hashes.SHA256()))


def _text(request: x509.CertificateSigningRequest) -> str:
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _of_keys() -> Iterator[tuple[str, str]]:
    for curve in (ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1(), ec.BrainpoolP256R1()):
        yield curve.name, _text(_builder().sign(ec.generate_private_key(curve), hashes.SHA256()))
    yield "rsa1024", _text(_builder().sign(rsa.generate_private_key(65537, 1024), hashes.SHA256()))
    yield "dsa", _text(_builder().sign(dsa.generate_private_key(1024), hashes.SHA256()))
    yield "ed25519", _text(_builder().sign(ed25519.Ed25519PrivateKey.generate(), None))
    yield "ed448", _text(_builder().sign(ed448.Ed448PrivateKey.generate(), None))


def _of_names() -> Iterator[tuple[str, str]]:
    yield "nobody", _pem(x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])))
    yield "two names", _pem(_builder(COMMON, x509.NameAttribute(NameOID.COMMON_NAME, "another")))
    for odd in ("UPPER.example.com", "sensor-901.devices.example.com.", "..", "*", "é" * 20, "a/../b", "x\x00y", "\n"):
        yield f"name {odd!r}", _pem(_builder(x509.NameAttribute(NameOID.COMMON_NAME, odd)))
    attributes = (NameOID.COUNTRY_NAME, "XX"), (NameOID.EMAIL_ADDRESS, "x@y"), (NameOID.ORGANIZATION_NAME, "o" * 64)
    yield "long subject", _pem(_builder(COMMON, *(x509.NameAttribute(*each) for each in attributes * 40)))


def _of_extensions() -> Iterator[tuple[str, str]]:
    oid = x509.ObjectIdentifier("1.2.3.4.5")
    others: dict[str, list[x509.GeneralName]] = {
        "no alternative": [],
        "an empty one": [x509.DNSName("")],
        "another's": [x509.DNSName(NAME), x509.DNSName("canary-001.devices.example.com")],
        "all kinds": [
            x509.OtherName(oid, b"\x05\x00"),
            x509.RegisteredID(oid),
            x509.DirectoryName(x509.Name([COMMON])),
            x509.UniformResourceIdentifier("http://["),
        ],
        "many": [x509.DNSName(f"{number}.example.com") for number in range(300)],
    }
    for name, alternatives in others.items():
        yield name, _pem(_builder().add_extension(x509.SubjectAlternativeName(alternatives), critical=True))
    for name, extension in {
        "unknown extension": x509.UnrecognizedExtension(oid, b"\x30\x80"),
        "an authority": x509.BasicConstraints(ca=True, path_length=None),
        "a server": x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        "another's identifier": x509.SubjectKeyIdentifier(b""),
        "torn alternatives": x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x05\x82"),
        "torn constraints": x509.UnrecognizedExtension(x509.BasicConstraints.oid, b"\xff"),
    }.items():
        yield name, _pem(_builder().add_extension(extension, critical=True))
    yield "a password", _pem(_builder().add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"secret"))


def _of_text() -> Iterator[tuple[str, str]]:
    good = _pem(_builder())
    der = bytearray(base64.b64decode("".join(good.splitlines()[1:-1])))
    yield "good", good
    yield "twice", good + good
    yield "of old", good.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
    yield "a certificate's head", good.replace("CERTIFICATE REQUEST", "CERTIFICATE")
    yield "with talk", f"x\x00y\r\n{good}\nz"
    yield "of one line", good.replace("\n", "")
    yield "of carriage returns", good.replace("\n", "\r")
    yield "not ASCII", good + "é"
    yield "half a character", good + "\ud800"
    for tag in (2, 13, 77, 140):  # of the name's text, where 12 is UTF-8's
        torn = bytearray(der)
        torn[der.index(NAME.encode()) - 2] = tag
        yield f"name of type {tag}", _armour(bytes(torn))
    for place in range(0, 225, 9):  # a signature has two bytes more or fewer, and the list must not
        torn = bytearray(der)
        torn[place] ^= 0x41
        yield f"torn at {place}", _armour(bytes(torn))
    yield "too short", _armour(bytes(der[:-5]))
    yield "too long", _armour(bytes(der) + b"\x00" * 5)
    yield "zeros", _armour(b"\x00" * 300)
    yield "no bytes", _armour(b"")
    yield "large", _armour(b"\x30\x84\x7f\xff\xff\xff" + b"\x00" * 9000)


def _armour(der: bytes) -> str:
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n"
