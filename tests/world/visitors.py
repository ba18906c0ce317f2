"""Clients of a shield: every kind of certificate that may be shown to an edge, and a plain way to ask."""

import http.client
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path
from typing import BinaryIO, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent import pem
from agent.devshield.authority import Authority
from agent.devshield.edge import Link, Visitor
from agent.devshield.shield import Shield

NAME = "sensor-001.devices.example.com"
READING = b'{"temperature": "21.437", "time": "2026-11-23T09:14:22Z"}'
KINDS = ("p256", "rsa2048", "foreign", "self-signed", "expired", "not-yet", "server-only")
Pair = tuple[Path, Path]


@dataclass(frozen=True, slots=True)
class Got:
    """An HTTP answer."""

    status: int
    headers: Message
    body: bytes


def pair(directory: Path, kind: str, authority: Authority) -> Pair:
    """Certificate and key file of that kind."""
    key_pem = pem.new_key("rsa2048" if kind == "rsa2048" else "p256")
    request = pem.signing_request(key_pem, name=NAME, subject={"O": "Example"})
    now = datetime.now(UTC).replace(microsecond=0)
    day = timedelta(days=1)
    match kind:
        case "foreign":  # every authority of ours has the same name
            certificate = Authority.create(directory / "foreign").sign(request)
        case "self-signed":
            certificate = _self_signed(key_pem, request)
        case "expired":
            certificate = authority.sign(request, not_before=now - 2 * day, not_after=now - day)
        case "not-yet":
            certificate = authority.sign(request, not_before=now + day, not_after=now + 2 * day)
        case "server-only":
            certificate = authority.sign(request, usage="server")
        case _:
            certificate = authority.sign(request)
    return put(directory, kind, certificate, key_pem)


def put(directory: Path, name: str, certificate: bytes, key_pem: bytes) -> Pair:
    """Write both; gives the two files."""
    files = directory / f"{name}.pem", directory / f"{name}-key.pem"
    files[0].write_bytes(certificate)
    files[1].write_bytes(key_pem)
    return files


def _self_signed(key_pem: bytes, request_pem: bytes) -> bytes:
    key = serialization.load_pem_private_key(key_pem, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    subject = x509.load_pem_x509_csr(request_pem).subject
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def connection(
    ca_file: Path, port: int, shown: Pair | None = None, *, source: str = "127.0.0.1"
) -> http.client.HTTPSConnection:
    """A connection to a port of this machine that trusts the authority, shows the pair and comes from `source`."""
    context = ssl.create_default_context(cafile=str(ca_file))
    if shown is not None:
        context.load_cert_chain(*shown)
    return http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10, source_address=(source, 0))


def connect(shield: Shield, shown: Pair | None = None, *, port: int | None = None) -> http.client.HTTPSConnection:
    """A connection to the shield's port, or another of it."""
    return connection(shield.ca_file, port or shield.port, shown)


def ask(
    to: http.client.HTTPSConnection, method: str = "POST", body: bytes | None = READING, path: str = "/temps"
) -> Got:
    """One request on the connection, which stays open if the server lets it."""
    to.request(method, path, body=body if method in {"POST", "PATCH"} else None)
    answer = to.getresponse()
    return Got(answer.status, answer.headers, answer.read())


def visit(shield: Shield, shown: Pair | None = None, method: str = "POST", body: bytes | None = READING) -> Got:
    """One request on a connection of its own."""
    to = connect(shield, shown)
    try:
        return ask(to, method, body)
    finally:
        to.close()


def door(connection: socket.socket) -> Link:
    """A server's door without TLS, for what lies above it."""
    streams = connection.makefile("rb"), connection.makefile("wb")
    return Link(cast("BinaryIO", streams[0]), cast("BinaryIO", streams[1]), Visitor(), connection.close)
