"""Keys, requests and certificates as PEM: what goes to an issuer, and what may come back from one."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from world.identities import authority
from world.odd_requests import ODD_CERTIFICATE, ODD_REQUEST, odd_requests

from agent import pem
from agent.devshield.authority import Authority
from agent.errors import UnusableAnswer

NAME = "sensor-001.devices.example.com"
TUTORIAL = {"C": "US", "ST": "TX", "L": "Austin", "O": "Temps", "OU": "Tech"}
KEY = pem.new_key("p256")
REQUEST = pem.signing_request(KEY, name=NAME, subject=TUTORIAL)
NOW = datetime.now(UTC)


@pytest.mark.parametrize(("key_type", "kind"), [("p256", ec.EllipticCurvePrivateKey), ("rsa2048", rsa.RSAPrivateKey)])
def test_a_new_key_is_of_the_type_asked_for(key_type: str, kind: type) -> None:
    key = serialization.load_pem_private_key(pem.new_key(key_type), password=None)
    assert isinstance(key, kind)
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    assert key.key_size == {"p256": 256, "rsa2048": 2048}[key_type]


def test_no_key_is_made_twice() -> None:
    assert pem.new_key("p256") != pem.new_key("p256")


@pytest.mark.parametrize("key_type", ["p256", "rsa2048"])
def test_a_request_is_signed_by_its_key(key_type: str) -> None:
    key = pem.new_key(key_type)
    request = x509.load_pem_x509_csr(pem.signing_request(key, name=NAME, subject={}))
    assert request.is_signature_valid


def test_a_request_has_the_subject_of_the_tutorial_in_its_order() -> None:
    shuffled = dict(reversed(TUTORIAL.items()))
    request = x509.load_pem_x509_csr(pem.signing_request(KEY, name=NAME, subject=shuffled))
    assert [attribute.rfc4514_string() for attribute in request.subject] == [
        "C=US",
        "ST=TX",
        "L=Austin",
        "O=Temps",
        "OU=Tech",
        f"CN={NAME}",
    ]


def test_empty_names_are_left_out() -> None:
    request = x509.load_pem_x509_csr(pem.signing_request(KEY, name=NAME, subject={"C": "", "O": "Lab"}))
    assert request.subject.rfc4514_string() == f"CN={NAME},O=Lab"


@pytest.mark.parametrize(
    ("name", "kind"), [(NAME, x509.DNSName), ("rpi-10000000a1b2c3d4", x509.DNSName), ("192.0.2.1", x509.IPAddress)]
)
def test_a_request_has_its_name_as_the_one_alternative_name(
    name: str, kind: type[x509.DNSName] | type[x509.IPAddress]
) -> None:
    request = x509.load_pem_x509_csr(pem.signing_request(KEY, name=name, subject={}))
    [only] = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert isinstance(only, kind)
    assert str(only.value) == name


CERTIFICATE = authority().sign(REQUEST)
ENVELOPE = json.dumps(
    {"success": True, "errors": [], "result": {"csr": REQUEST.decode(), "certificate": CERTIFICATE.decode()}}
)
SHAPES = {
    "PEM": CERTIFICATE.decode(),
    "CRLF": CERTIFICATE.decode().replace("\n", "\r\n"),
    "CR": CERTIFICATE.decode().replace("\n", "\r\n").replace("\r\n", "\n\r"),
    "no final newline": CERTIFICATE.decode().rstrip(),
    "the whole answer": ENVELOPE,
    "the whole answer with CRLF inside": ENVELOPE.replace("\\n", "\\r\\n"),
    "the tutorial's file: newlines expanded, quotes stripped": ENVELOPE.replace("\\n", "\n").replace('"', ""),
    "with a chain": CERTIFICATE.decode() + authority().certificate_pem.decode(),
    "with talk before": "subject=CN = sensor\n" + CERTIFICATE.decode(),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_certificate_is_found_in_whatever_holds_it(shape: str) -> None:
    assert pem.extract_certificate(SHAPES[shape]) == CERTIFICATE


def test_the_tutorials_file_is_what_its_own_command_makes(tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_text(ENVELOPE)
    made = subprocess.run(
        ["perl", "-npe", r's/\\n/\n/g; s/"//g', str(tmp_path / "answer.json")], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip("no perl here")
    assert pem.extract_certificate(made.stdout) == CERTIFICATE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "<html>502</html>",
        CERTIFICATE.decode()[:200],
        REQUEST.decode(),
        CERTIFICATE.decode().replace("M", "!"),
    ],
)
def test_what_holds_none_is_unusable(text: str) -> None:
    with pytest.raises(UnusableAnswer) as raised:
        pem.extract_certificate(text)
    assert raised.value.exit_code == 65


def test_a_certificate_as_asked_has_no_notes() -> None:
    assert pem.check_issued(CERTIFICATE, request_pem=REQUEST, now=NOW) == []


def test_one_for_another_key_is_unusable() -> None:
    other = pem.signing_request(pem.new_key("p256"), name=NAME, subject=TUTORIAL)
    with pytest.raises(UnusableAnswer, match="another key"):
        pem.check_issued(authority().sign(other), request_pem=REQUEST, now=NOW)


def test_one_that_has_expired_is_unusable() -> None:
    certificate = authority().sign(REQUEST, not_before=NOW - timedelta(days=9), not_after=NOW - timedelta(seconds=1))
    with pytest.raises(UnusableAnswer, match="expired already"):
        pem.check_issued(certificate, request_pem=REQUEST, now=NOW)


def test_one_that_may_not_be_a_client_is_unusable() -> None:
    with pytest.raises(UnusableAnswer, match="authenticate a client"):
        pem.check_issued(authority().sign(REQUEST, usage="server"), request_pem=REQUEST, now=NOW)


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(days=20)])
def test_one_from_the_future_has_a_note_that_the_clock_is_behind(ahead: timedelta) -> None:
    begin = NOW + ahead
    certificate = authority().sign(REQUEST, not_before=begin, not_after=begin + timedelta(days=9))
    [note] = pem.check_issued(certificate, request_pem=REQUEST, now=NOW)
    assert "clock is behind" in note


def test_an_authoritys_own_may_not_be_a_client() -> None:
    with pytest.raises(UnusableAnswer, match="key usage"):
        pem.check_usable(authority().certificate_pem, now=NOW)


def test_one_of_a_curve_that_nobody_reads_any_more_is_passed_over_or_unusable() -> None:
    chain = pem.extract_chain(ODD_CERTIFICATE + CERTIFICATE, request_pem=REQUEST)
    assert chain == CERTIFICATE
    alone = pem.extract_chain(ODD_CERTIFICATE, request_pem=REQUEST)
    with pytest.raises(UnusableAnswer, match="cannot be read"):
        pem.check_issued(alone, request_pem=REQUEST, now=NOW)
    assert not pem.same_key(REQUEST, ODD_REQUEST)
    assert not pem.same_key(REQUEST, CERTIFICATE)


@pytest.mark.parametrize("name", odd_requests())
def test_any_request_of_somebody_else_is_not_ours(name: str) -> None:
    assert not pem.same_key(REQUEST, odd_requests()[name].encode("utf-8", "replace"))


def test_a_torn_certificate_beside_ours_is_passed_over() -> None:
    torn = CERTIFICATE.replace(CERTIFICATE[100:110], b"A" * 10)
    assert pem.extract_certificate(torn + CERTIFICATE) == CERTIFICATE
    assert len(pem.possible_chains(torn + CERTIFICATE)) == 1
    with pytest.raises(UnusableAnswer):
        pem.extract_certificate(f"{torn.decode()}\ud800")


def test_another_subject_is_a_note(tmp_path: Path) -> None:
    changed = pem.signing_request(KEY, name="renamed", subject={})
    [note] = pem.check_issued(
        Authority.create(tmp_path / "ca").sign(changed), request_pem=REQUEST, now=datetime.now(UTC)
    )
    assert "CN=renamed" in note
    assert f"CN={NAME}" in note


def test_requests_of_one_key_are_known_by_it_whatever_their_line_ends() -> None:
    assert pem.same_key(REQUEST, REQUEST.replace(b"\n", b"\r\n"))
    assert not pem.same_key(REQUEST, pem.signing_request(pem.new_key("p256"), name=NAME, subject=TUTORIAL))


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("rpi-10000000abcdef01", True),
        ("a.b-c.example", True),
        ("x" * 64, False),
        ("1.2.3", False),
        ("a.-b", False),
        ("a..b", False),
    ],
)
def test_a_name_that_is_no_dns_name_is_the_common_name_alone(name: str, named: bool) -> None:
    request = x509.load_pem_x509_csr(pem.signing_request(pem.new_key("p256"), name=name, subject={}))
    assert [each.value for each in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [name]
    assert bool(list(request.extensions)) is named
