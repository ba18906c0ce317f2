"""A certificate authority in a directory: the development shield's, the tests', and a fleet's without a zone.

Its key lies unencrypted beside its certificate, with mode 0600: who may read the directory may sign. A fleet's is
guarded by the user it belongs to; the development shield's is not to be trusted by anything real.
"""

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent import pem
from agent.errors import CannotWrite, ConfigError

Usage = Literal["client", "server"]

DEVELOPMENT: Final = x509.Name([
    x509.NameAttribute(NameOID.COUNTRY_NAME, "XX"),
    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sensor-agent development"),
    x509.NameAttribute(NameOID.COMMON_NAME, "Development CA, not Cloudflare"),
])  # fmt: skip
FLEET: Final = x509.Name([
    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sensor-agent fleet"),
    x509.NameAttribute(NameOID.COMMON_NAME, "Fleet CA"),
])  # fmt: skip
CA_DAYS: Final = 3650
SERVER_DAYS: Final = 397  # what browsers allow a server's certificate to live
BACKDATED: Final = timedelta(minutes=5)  # cfssl's default, rounded to the minute: `issued_on` ends in :00


class Authority:
    """The key and certificate of one directory (`ca-key.pem`, mode 0600, and `ca.pem`); `sign` is thread-safe."""

    def __init__(self, directory: Path) -> None:
        self.certificate_file: Final = directory / "ca.pem"
        self.key_file: Final = directory / "ca-key.pem"
        self.certificate_pem: Final = self.certificate_file.read_bytes()
        self._certificate = x509.load_pem_x509_certificate(self.certificate_pem)
        self._key = _private(self.key_file.read_bytes())

    @classmethod
    def create(cls, directory: Path, name: x509.Name = DEVELOPMENT) -> "Authority":
        """A new authority in the directory, which is made if need be; `name` is its subject.

        Raises CannotWrite if there is one already (its certificates would stop verifying) or files cannot be made.
        """
        key_pem = pem.new_key("p256")
        key = _private(key_pem)
        now = _now()
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + timedelta(days=CA_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(ca=True), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
            .sign(key, hashes.SHA256())
        )
        try:
            directory.mkdir(parents=True, exist_ok=True)
            _write_new(directory / "ca-key.pem", key_pem, mode=0o600)
            _write_new(directory / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
        except OSError as error:
            raise CannotWrite(
                f"{directory}: cannot make a certificate authority: {error.strerror or error}",
                hint=f"give an empty directory, or remove {directory}/ca.pem and {directory}/ca-key.pem",
            ) from error
        return cls(directory)

    @classmethod
    def open(cls, directory: Path) -> "Authority":
        """The authority that `create` left in the directory; raises ConfigError if there is none or it is torn."""
        try:
            return cls(directory)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(
                f"{directory}: no certificate authority there: {error}",
                hint=f"remove {directory}/ca.pem and {directory}/ca-key.pem to have a new one made",
            ) from error

    def issue_server(self, names: Sequence[str]) -> tuple[bytes, bytes]:
        """Key and certificate (PEM) of a server of those host names and addresses; the first is its common name."""
        key_pem = pem.new_key("p256")
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
            .sign(_private(key_pem), hashes.SHA256())
        )
        request_pem = request.public_bytes(serialization.Encoding.PEM)
        return key_pem, self.sign(request_pem, validity_days=SERVER_DAYS, usage="server")

    def sign(
        self,
        csr_pem: bytes,
        *,
        validity_days: int = 365,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        usage: Usage = "client",
    ) -> bytes:
        """A certificate (PEM) for the key, subject and SANs of the request; each call has a serial of its own.

        It begins five minutes ago, to the minute, and lives `validity_days` from there, unless told otherwise
        (aware times; whole seconds are kept).
        Raises ValueError if the request cannot be read or its signature does not verify.
        """
        request = x509.load_pem_x509_csr(csr_pem)
        if not request.is_signature_valid:
            raise ValueError("the request's signature does not verify")
        begin = not_before or (_now() - BACKDATED).replace(second=0)
        own = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        identifier = x509.SubjectKeyIdentifier.from_public_key(request.public_key())
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if usage == "client" else ExtendedKeyUsageOID.SERVER_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self._certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(not_after or begin + timedelta(days=validity_days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(identifier, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False)
        )
        try:
            names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            builder = builder.add_extension(names.value, critical=names.critical)
        except x509.ExtensionNotFound:
            pass
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def write_server_pair(authority: Authority, directory: Path, names: Sequence[str]) -> tuple[Path, Path]:
    """Certificate and key files of a server of those names, written anew: its address may have changed."""
    certificate, key = directory / "server.pem", directory / "server-key.pem"
    key_pem, certificate_pem = authority.issue_server(list(dict.fromkeys(names)))
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(key_pem)
    certificate.write_bytes(certificate_pem)
    return certificate, key


def open_or_create(directory: Path, name: x509.Name = DEVELOPMENT) -> Authority:
    """The directory's authority, made on the first call, which alone gives it its name."""
    return Authority.open(directory) if (directory / "ca.pem").exists() else Authority.create(directory, name)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _write_new(path: Path, content: bytes, *, mode: int) -> None:
    """Makes the file with its mode from the first byte on; never writes over one that is there."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)


def _private(key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(key_pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"an elliptic-curve key is needed (got {type(key).__name__})")
    return key


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    """RFC 5280 §4.2.1.3: a CA signs certificates and lists, a device signs handshakes."""
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
