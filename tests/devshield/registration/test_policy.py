"""What the authority signs, as tables."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from agent import pem
from agent.devshield.registration.policy import NotAllowed, Policy, allows, examine

NAME = "sensor-001.devices.example.com"


def request(key: object = None, *names: str, beside: tuple[str, ...] = ()) -> bytes:
    """A request with those common names and alternative names."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names or (NAME,)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if beside:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in beside]), critical=False
        )
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.PEM)


def test_the_agents_own_request_is_in_order() -> None:
    csr = pem.signing_request(pem.new_key("p256"), name=NAME, subject={"O": "Example"})

    assert (examine(csr).name, examine(csr).key) == (NAME, pem.public_key_sha256(csr))


def test_only_the_request_goes_on_to_the_signer_and_nothing_around_it() -> None:
    csr = request()

    assert examine(b"x\x00y\n" + csr + b"\n" + csr).csr.encode() == csr


@pytest.mark.parametrize(
    ("csr", "says"),
    [
        (b"", "not a certificate request"),
        (
            b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
            "not a certificate request",
        ),
        (request(ed25519.Ed25519PrivateKey.generate()), "the key must be"),
        (request(ec.generate_private_key(ec.SECP521R1())), "the key must be"),
        (request(rsa.generate_private_key(65537, 1024)), "the key must be"),
        (request(None, NAME, "other"), "one common name"),
        (request(None, "Sensor 1"), "one common name"),
        (request(None, NAME, beside=("shield.example.com",)), "alternative names"),
        (request(None, NAME, beside=(NAME, "other")), "alternative names"),
    ],
    ids=["empty", "torn", "ed25519", "p521", "rsa1024", "two names", "no name", "other san", "more sans"],
)
def test_request_out_of_order_is_refused_and_told_why(csr: bytes, says: str) -> None:
    with pytest.raises(NotAllowed, match=says):
        examine(csr)


def test_request_that_was_tampered_with_is_refused() -> None:
    made = x509.load_pem_x509_csr(request())
    der = bytearray(made.public_bytes(serialization.Encoding.DER))
    der[der.index(b"sensor-001")] = ord("t")
    damaged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)

    with pytest.raises(NotAllowed, match="signature"):
        examine(damaged)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("sensor-1.devices.example.com", True),
        ("rpi-10000000abcdef01", True),
        ("sensor-.devices.example.com", False),
        ("sensor-1.evil.devices.example.com", False),
        ("sensor-1.devices.example.com.evil.org", False),
        ("sensor-1xdevices.example.com", False),
        ("shield.example.com", False),
        ("", False),
    ],
)
def test_pattern_stands_for_part_of_one_label(name: str, allowed: bool) -> None:
    assert allows(Policy(("sensor-*.devices.example.com", "rpi-*")), name) is allowed
