"""The development authority: what it signs, and that its files are as they should be."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent import pem
from agent.devshield.authority import Authority, Usage
from agent.errors import CannotWrite, ConfigError

NAME = "sensor-001.devices.example.com"


@pytest.fixture(scope="module")
def request_pem() -> bytes:
    return pem.signing_request(pem.new_key("p256"), name=NAME, subject={"C": "US", "O": "Example"})


def test_open_finds_what_create_left(tmp_path: Path) -> None:
    created = Authority.create(tmp_path)
    assert Authority.open(tmp_path).certificate_pem == created.certificate_pem


def test_key_is_for_its_owner_only(tmp_path: Path) -> None:
    assert Authority.create(tmp_path).key_file.stat().st_mode & 0o777 == 0o600


def test_create_never_replaces_an_authority(tmp_path: Path) -> None:
    Authority.create(tmp_path)
    with pytest.raises(CannotWrite):
        Authority.create(tmp_path)


def test_open_of_an_empty_or_torn_directory_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=str(tmp_path)):
        Authority.open(tmp_path)
    Authority.create(tmp_path).key_file.write_bytes(b"")
    with pytest.raises(ConfigError, match=str(tmp_path)):
        Authority.open(tmp_path)


def test_signed_certificate_has_subject_names_and_identifiers(authority: Authority, request_pem: bytes) -> None:
    certificate = x509.load_pem_x509_certificate(authority.sign(request_pem))
    own = x509.load_pem_x509_certificate(authority.certificate_pem)
    extensions = certificate.extensions
    assert certificate.subject == x509.load_pem_x509_csr(request_pem).subject
    assert certificate.issuer == own.subject
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAME]
    ski = own.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == ski
    assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest == (
        x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
    )


@pytest.mark.parametrize(
    ("usage", "oid"), [("client", ExtendedKeyUsageOID.CLIENT_AUTH), ("server", ExtendedKeyUsageOID.SERVER_AUTH)]
)
def test_certificate_is_for_one_side_only(
    authority: Authority, request_pem: bytes, usage: Usage, oid: x509.ObjectIdentifier
) -> None:
    certificate = x509.load_pem_x509_certificate(authority.sign(request_pem, usage=usage))
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [oid]


def test_validity_begins_five_minutes_ago_to_the_minute(authority: Authority, request_pem: bytes) -> None:
    begin, end = pem.validity(x509.load_pem_x509_certificate(authority.sign(request_pem, validity_days=30)))
    assert begin.second == 0
    assert timedelta(minutes=5) <= datetime.now(UTC) - begin < timedelta(minutes=7)
    assert end - begin == timedelta(days=30)


def test_validity_can_be_given(authority: Authority, request_pem: bytes) -> None:
    wanted = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    certificate = authority.sign(request_pem, not_before=wanted[0], not_after=wanted[1])
    assert pem.validity(x509.load_pem_x509_certificate(certificate)) == wanted


def test_serials_are_unique(authority: Authority, request_pem: bytes) -> None:
    serials = {x509.load_pem_x509_certificate(authority.sign(request_pem)).serial_number for _ in range(20)}
    assert len(serials) == 20


def test_request_whose_signature_is_wrong_is_not_signed(authority: Authority, request_pem: bytes) -> None:
    lines = request_pem.decode().splitlines()
    lines[-2] = lines[-2][:-6] + ("A" if lines[-2][-6] != "A" else "B") + lines[-2][-5:]
    with pytest.raises(ValueError, match="signature"):
        authority.sign("\n".join(lines).encode())


def test_server_certificate_names_hosts_and_addresses(authority: Authority) -> None:
    key, certificate_pem = authority.issue_server(["localhost", "127.0.0.1"])
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "localhost"
    assert key.startswith(b"-----BEGIN PRIVATE KEY-----")
