"""The edge's part: which client certificate was shown, whether it verifies, and whether the rule lets it in.

An edge completes the handshake whatever it is shown and refuses with HTTP 403. Python's `ssl` cannot do that for
a certificate that does not verify, it sends a TLS alert; pyOpenSSL can, and is used when it is installed.
"""

import contextlib
import hashlib
import io
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Protocol, cast

from agent.devshield.reply import Reply, page

Rule = Literal["default", "strict"]
Tls = Literal["pyopenssl", "stdlib"]

# X509_V_ERR_* of openssl/x509_vfy.h in the words of Cloudflare's certVerified
VERIFY_TEXTS: Final = {
    2: "unable to get issuer certificate",
    7: "certificate signature failure",
    9: "certificate is not yet valid",
    10: "certificate has expired",
    18: "self signed certificate",
    19: "self signed certificate in certificate chain",
    20: "unable to get local issuer certificate",
    21: "unable to verify the first certificate",
    26: "unsupported certificate purpose",
}
NONE: Final = "NONE"
SUCCESS: Final = "SUCCESS"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is at the other end. `verified` is NONE, SUCCESS or FAILED:reason; the fingerprint is lower-case hex."""

    verified: str = NONE
    fingerprint_sha256: str = ""


@dataclass(slots=True)
class Link:
    """A connection after its handshake; `close` says goodbye and closes the socket."""

    reader: BinaryIO
    writer: BinaryIO
    visitor: Visitor
    close: Callable[[], None]


class Door(Protocol):
    """Does the handshake on an accepted socket, which is its from then on. Raises OSError if it fails."""

    def __call__(self, connection: socket.socket) -> Link: ...


def admits(visitor: Visitor, rule: Rule, *, revoked: bool) -> bool:
    """Whether the rule lets the visitor in.

    Cloudflare's template blocks `not cert_verified`, and a revoked certificate still counts as verified; only a
    rule that also blocks `cert_revoked` keeps it out.
    """
    return visitor.verified == SUCCESS and not (revoked and rule == "strict")


def block_page(ray: str) -> Reply:
    """What a blocked visitor gets: 403 and a page for people."""
    text = f"The development shield's rule refuses this client certificate, or there is none. Ray ID: {ray}"
    return page(403, "Sorry, you have been blocked", text)


def pyopenssl_installed() -> bool:
    """Whether the handshake can end well for a certificate that does not verify."""
    try:
        import OpenSSL.SSL
    except ImportError:
        return False
    return bool(OpenSSL.SSL)


def make_door(tls: Tls, certificate: Path, key: Path, client_ca: Path | None) -> Door:
    """The server's side of TLS 1.2 and 1.3; asks for a client certificate if there is a CA to check it against."""
    if tls == "pyopenssl" and client_ca is not None:
        return _pyopenssl_door(certificate, key, client_ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(client_ca)

    return lambda connection: stdlib_link(context, connection)


def stdlib_link(context: ssl.SSLContext, connection: socket.socket) -> Link:
    """The link of a connection after its handshake by that context, which has verified what is shown. Raises OSError."""
    tls_socket = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    try:
        tls_socket.do_handshake()
    except OSError:
        tls_socket.close()
        raise
    shown = tls_socket.getpeercert(binary_form=True)
    return Link(
        cast("BinaryIO", tls_socket.makefile("rb", -1)),
        cast("BinaryIO", tls_socket.makefile("wb", -1)),
        Visitor(SUCCESS, hashlib.sha256(shown).hexdigest()) if shown else Visitor(),
        lambda: _close_stdlib(tls_socket),
    )


def _close_stdlib(tls_socket: ssl.SSLSocket) -> None:
    tls_socket.settimeout(0.0)  # say goodbye, but do not wait for the other end's
    with contextlib.suppress(OSError, ValueError):
        tls_socket.unwrap()
    tls_socket.close()


def _pyopenssl_door(certificate: Path, key: Path, client_ca: Path) -> Door:
    from OpenSSL import SSL, crypto

    def note(connection: SSL.Connection, _certificate: Any, error: int, _depth: int, ok: int) -> bool:
        if not ok:
            connection.get_app_data().append(error)
        return True  # the rule decides, not the handshake

    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.use_certificate_file(str(certificate))
    context.use_privatekey_file(str(key))
    context.load_verify_locations(str(client_ca))
    context.set_verify(SSL.VERIFY_PEER, note)
    # a resumed session does not verify again, and would come back as a good one
    context.set_options(SSL.OP_NO_TICKET)

    def accept(connection: socket.socket) -> Link:
        errors: list[int] = []
        tls = SSL.Connection(context, connection)
        tls.set_app_data(errors)
        tls.set_accept_state()
        try:
            tls.do_handshake()
        except SSL.Error as error:
            connection.close()
            raise ConnectionError(f"TLS handshake failed: {error}") from error
        shown = tls.get_peer_certificate()
        visitor = Visitor()
        if shown is not None:
            der = crypto.dump_certificate(crypto.FILETYPE_ASN1, shown)
            verified = f"FAILED:{VERIFY_TEXTS.get(errors[0], f'error {errors[0]}')}" if errors else SUCCESS
            visitor = Visitor(verified, hashlib.sha256(der).hexdigest())

        def close() -> None:
            with contextlib.suppress(SSL.Error):
                tls.shutdown()
            connection.close()

        stream = _Stream(tls, SSL)
        return Link(
            cast("BinaryIO", io.BufferedReader(stream)), cast("BinaryIO", io.BufferedWriter(stream)), visitor, close
        )

    return accept


class _Stream(io.RawIOBase):
    """The file that pyOpenSSL's connection does not offer."""

    def __init__(self, connection: Any, errors: Any) -> None:
        self._connection = connection
        self._errors = errors

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return int(self._connection.recv_into(buffer))
        except self._errors.ZeroReturnError:
            return 0
        except self._errors.Error as error:
            raise ConnectionError(f"TLS: {error}") from error

    def write(self, data: Any) -> int:
        try:
            return int(self._connection.send(bytes(data)))
        except self._errors.Error as error:
            raise ConnectionError(f"TLS: {error}") from error
