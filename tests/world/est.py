"""An EST server (RFC 7030) on loopback: cacerts, simpleenroll with one-time passwords, simplereenroll over mutual TLS."""

import base64
import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from world.identities import authority

PATH = "/.well-known/est/"


@dataclass
class EstServer:
    """`passwords` are good for one key each; the next `pending` enrollments are told to come again in a second."""

    url: str = ""
    ca_file: str = ""
    passwords: dict[str, str] = field(default_factory=dict)
    pending: int = 0
    approved: threading.Event = field(default_factory=threading.Event)
    with_chain: bool = False
    break_lines: bool = False
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    issued: list[bytes] = field(default_factory=list)
    used: dict[str, bytes] = field(default_factory=dict)

    def enroll(self, operation: str, authorization: str, shown: bytes | None, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        request = x509.load_der_x509_csr(base64.b64decode(body))
        spki = request.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if operation == "simplereenroll":
            if shown is None:
                return 403, b"no client certificate"
            old = x509.load_der_x509_certificate(shown)
            if old.subject != request.subject or _names(old) != _names(request):
                return 400, b"subject and alternative names must be the old ones"
        else:
            user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
            if self.passwords.get(user) != password or self.used.setdefault(user, spki) != spki:
                return 401, b"unknown or used password"
        if self.pending:
            self.pending -= 1
            return 202, b""
        pem = request.public_bytes(serialization.Encoding.PEM)
        self.issued.append(authority().sign(pem))
        return 200, self.issued[-1]


@contextlib.contextmanager
def est_server(directory: Path, **settings: Any) -> Iterator[EstServer]:
    """Serve until left."""
    state = EstServer(ca_file=str(authority().certificate_file), **settings)
    server = _Server(("127.0.0.1", 0), _handler(state))
    server.daemon_threads = True
    state.url = f"https://127.0.0.1:{server.server_address[1]}"
    key, certificate = authority().issue_server(["127.0.0.1", "localhost"])
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "est-key.pem").write_bytes(key)
    (directory / "est.pem").write_bytes(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "est.pem", directory / "est-key.pem")
    context.load_verify_locations(authority().certificate_file)
    context.verify_mode = ssl.CERT_OPTIONAL
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news."""


def _handler(state: EstServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_GET(self) -> None:
            self._certificates(authority().certificate_file.read_bytes())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            operation = self.path.removeprefix(PATH)
            state.seen.append((operation, {name.lower(): value for name, value in self.headers.items()}, body))
            shown = self.connection.getpeercert(binary_form=True)
            if operation == "simpleenroll" and "Authorization" not in self.headers:
                self.send_response(401)  # strongSwan sends its password only when asked
                self.send_header("WWW-Authenticate", 'Basic realm="est"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            status, answer = state.enroll(operation, self.headers.get("Authorization", ""), shown, body)
            if status == 200:
                ca = authority().certificate_file.read_bytes() if state.with_chain else b""
                self._certificates(ca + answer)
                return
            self.send_response(status)
            if status == 202:
                self.send_header("Retry-After", "1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _certificates(self, pem: bytes) -> None:
            blocks = [block + b"-----END CERTIFICATE-----\n" for block in pem.split(b"-----END CERTIFICATE-----")[:-1]]
            certificates = [x509.load_pem_x509_certificate(block) for block in blocks]
            der = pkcs7.serialize_certificates(certificates, serialization.Encoding.DER)
            text = base64.encodebytes(der) if state.break_lines else base64.b64encode(der)
            self.send_response(200)
            self.send_header("Content-Type", "application/pkcs7-mime; smime-type=certs-only")
            self.send_header("Content-Transfer-Encoding", "base64")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    return Handler


def _names(signed: x509.Certificate | x509.CertificateSigningRequest) -> object:
    try:
        return signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
