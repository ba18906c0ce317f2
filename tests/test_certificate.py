"""The daemon's own reading of a certificate, held against what `cryptography` says of the same one."""

import base64
import contextlib
import itertools
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from agent import pem
from agent.certificate import parse

P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
BEGIN = datetime(2026, 11, 25, 12, 0, 1, tzinfo=UTC)


def made(
    *,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = P256,
    serial: int = 4711,
    begin: datetime = BEGIN,
    end: datetime = BEGIN + timedelta(days=365),
    name: str | None = "sensor-001",
    kind: _ASN1Type = _ASN1Type.UTF8String,
    extensions: int = 1,
) -> bytes:
    """A self-signed certificate as PEM."""
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lab")]
    if name is not None:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, name, kind))
    subject = x509.Name(attributes)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the issuer, not the subject")]))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    names = [x509.DNSName(f"{'long' * 12}-{number}.example.com") for number in range(extensions)]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


SERIALS = [1, 127, 128, 255, 65_536, 1 << 63, (1 << 159) - 1, 0x7F << 152]
SPANS = [
    (datetime(1950, 1, 1, tzinfo=UTC), datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    (datetime(2000, 2, 29, tzinfo=UTC), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
    (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)),
    (datetime(2051, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
]
CASES = [
    *({"serial": serial, "key": key} for serial, key in itertools.product(SERIALS, [P256, RSA])),
    *({"begin": begin, "end": end} for begin, end in SPANS),
    *({"name": name} for name in ["a", "x" * 64, "Kühlraum-°C", "日本", None]),
    {"name": "plain", "kind": _ASN1Type.PrintableString},
    {"name": "plain@example", "kind": _ASN1Type.IA5String},
    {"name": "Kühl", "kind": _ASN1Type.BMPString},
    *({"extensions": count, "key": RSA} for count in (5, 100, 1200)),
]


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_it_says_what_cryptography_says(case: dict[str, object]) -> None:
    text = made(**case)  # type: ignore[arg-type]
    says, truth = parse(text), x509.load_pem_x509_certificate(text)
    begin, end = pem.validity(truth)
    names = truth.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert says.name == (names[0].value if names else "")
    assert says.serial == str(truth.serial_number)
    assert (says.not_before, says.not_after) == (begin, end)
    assert says.fingerprint_sha256 == truth.fingerprint(hashes.SHA256()).hex()


def test_the_first_of_several_counts() -> None:
    text = b"talk\n" + made(name="leaf") + made(name="intermediate")
    assert parse(text).name == "leaf"


DER = ssl.PEM_cert_to_DER_cert(made().decode())


def as_pem(der: bytes) -> bytes:
    return ssl.DER_cert_to_PEM_cert(der).encode()


def is_refused(der: bytes) -> bool:
    try:
        parse(as_pem(der))
    except ValueError:
        return True
    return False


def test_a_certificate_cut_short_anywhere_is_refused() -> None:
    # one test, because a signature's length varies by some bytes and the number of tests shall not
    assert [length for length in range(len(DER)) if not is_refused(DER[:length])] == []


@pytest.mark.parametrize("bit", [1, 4, 0x80])
def test_a_flipped_bit_ends_in_a_certificate_or_in_a_value_error(bit: int) -> None:
    for place in range(len(DER)):
        damaged = bytearray(DER)
        damaged[place] ^= bit
        with contextlib.suppress(ValueError):
            parse(as_pem(bytes(damaged)))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not-enrolled\n",
        b"\xff" * 100,
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n\xc3\xa4\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(b"\x30" * 500) + b"\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(bytes(500)) + b"\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(b"\x30\x80\x00\x00") + b"\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_no_certificate_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


@pytest.mark.parametrize(
    ("passed", "left"),
    [(timedelta(), 30), (timedelta(seconds=1), 29), (timedelta(days=30), 0), (timedelta(days=30.5), -1)],
)
def test_days_left_are_whole_and_negative_once_it_has_expired(passed: timedelta, left: int) -> None:
    says = parse(made(end=BEGIN + timedelta(days=30)))
    assert says.days_left(BEGIN + passed) == left


def test_it_renews_after_two_thirds_of_its_life_less_a_part_that_its_name_decides() -> None:
    end = BEGIN + timedelta(days=60)
    fleet = [parse(made(end=end, name=f"sensor-{number:03}")) for number in range(100)]
    before = [BEGIN + timedelta(days=40) - says.renews_after for says in fleet]
    assert min(before) >= timedelta()
    assert max(before) <= timedelta(days=3)
    assert max(before) - min(before) > timedelta(days=2)  # spread over a twentieth of the life
    assert parse(made(end=end, name="sensor-000", serial=1)).renews_after == fleet[0].renews_after
