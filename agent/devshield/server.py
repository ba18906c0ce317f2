"""HTTP/1.1 over a door: requests come out as values, outcomes go in, connections are kept alive.

Ends at once when it is told to: open connections are shut down, and every wait is one on the stop event.
"""

import contextlib
import logging
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from agent.devshield.edge import Door, Link, Visitor
from agent.devshield.reply import Reply, page
from agent.devshield.request_body import BadBody, body_of
from agent.errors import ConfigError

log = logging.getLogger(__name__)

BODY_BYTES: Final = 4 << 20  # Cloudflare takes 100 MiB, which as parsed JSON are 2 GiB
IDLE_SECONDS: Final = 400  # for a handshake, or between two bytes: Cloudflare's


@dataclass(frozen=True, slots=True)
class Request:
    """Header names are in lower case; `address` is the client's, `target` path and query."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    address: str
    visitor: Visitor


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a request: None closes the connection without an answer.

    `byte_seconds` is how long each byte of the answer takes; 0 sends it whole.
    """

    reply: Reply | None
    byte_seconds: float = 0.0


Application = Callable[[Request], Outcome]


class HttpServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves one application on one port from `start` to `close`; a thread for each connection."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        door: Door,
        application: Application,
        stop: threading.Event,
        *,
        body_bytes: int = BODY_BYTES,
        idle_seconds: int = IDLE_SECONDS,
    ) -> None:
        self.application = application
        self.stop = stop
        self.body_bytes: Final = body_bytes
        # option 66 instead of 20: 32 bit with times of 64, as armhf since Debian 13; a long is not enough there
        self._patience: Final = struct.pack("qq" if socket.SO_RCVTIMEO == 66 else "ll", idle_seconds, 0)
        self._door = door
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(3600.0,), name=f"port {address[1]}")
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            raise ConfigError(
                f"{address[0]} port {address[1]}: cannot listen: {error.strerror or error}",
                hint="give another port, or 0 for a free one",
            ) from error
        self.port: Final = int(self.server_address[1])

    def start(self) -> None:
        """Answer from now on; connections that came before are waiting."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening, end all connections, and return when their threads are gone. `stop` must be set."""
        if self._thread.ident is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)  # wakes serve_forever, which polls once an hour
            self.shutdown()
            self._thread.join()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """One connection, in its own thread."""
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):  # the kernel's: pyOpenSSL knows no timeout of Python's
            request.setsockopt(socket.SOL_SOCKET, option, self._patience)
        spare = request.dup()  # the door may take the socket away; this one still reaches the connection
        with self._lock:
            self._open.add(spare)
        try:
            link = self._door(request)
            try:
                _Handler(link, client_address, self)  # type: ignore[arg-type] # a link takes the socket's place
            finally:
                link.close()
        finally:
            with self._lock:
                self._open.discard(spare)
            spare.close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's form
        """A client that went away is no news; anything else is a bug here."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            log.debug("connection ended", extra={"CLIENT": client_address[0], "REASON": str(error)})
        else:
            log.error("request not answered", exc_info=error, extra={"CLIENT": client_address[0]})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HttpServer
    request: Link

    def setup(self) -> None:
        self.rfile = self.request.reader  # type: ignore[assignment]
        self.wfile = self.request.writer  # type: ignore[assignment]

    def finish(self) -> None:
        for stream in (self.wfile, self.rfile):
            with contextlib.suppress(OSError):
                stream.close()

    def answer(self) -> None:
        """Read the request whole, have it answered, and send what came out."""
        try:
            body = body_of(self.headers, self.request.reader, most=self.server.body_bytes)
        except BadBody as error:
            self._refuse(error.status, f"{error}")
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        address = str(self.client_address[0])
        request = Request(self.command, self.path, headers, body, address, self.request.visitor)
        self._send(self.server.application(request))

    def __getattr__(self, name: str) -> Callable[[], None]:
        """`do_X` for each method X that http.server looks for: the application knows which there are."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def handle_expect_100(self) -> bool:
        """The client waits for this before it sends the body."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server says of a head that it cannot read; an unknown version is the client's fault too."""
        del explain
        self._refuse(code if code < 500 else 400, message or "")

    def _refuse(self, status: int, reason: str) -> None:
        self.close_connection = True
        text = escape(reason[:200], quote=False)
        self._send(Outcome(page(status, f"{status} {_phrase(status)}", f"{text}.")))
        self.wfile.flush()

    def _send(self, outcome: Outcome) -> None:
        if outcome.reply is None:
            self.close_connection = True
            return
        message = self._message(outcome.reply)
        if not outcome.byte_seconds:
            self.wfile.write(message)
            return
        for byte in message:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.server.stop.wait(outcome.byte_seconds):
                return

    def _message(self, reply: Reply) -> bytes:
        own = {name.lower() for name, _ in reply.headers}
        headers = [
            ("Date", formatdate(usegmt=True)),
            *([] if "server" in own else [("Server", "sensor-agent-development-shield")]),
            *([] if reply.status == HTTPStatus.NO_CONTENT else _about(reply)),
            ("Connection", "close" if self.close_connection else "keep-alive"),
            *reply.headers,
        ]
        lines = [f"HTTP/1.1 {reply.status} {_phrase(reply.status)}", *(f"{name}: {value}" for name, value in headers)]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return head if self.command == "HEAD" else head + reply.body

    def log_message(self, *_: Any) -> None:
        """The application says what is worth saying."""


def _about(reply: Reply) -> list[tuple[str, str]]:
    return [("Content-Type", reply.content_type), ("Content-Length", str(len(reply.body)))]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
