"""One connection's requests as values, and outcomes as HTTP/1.1; the connection is kept alive."""

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol

from agent.devshield.edge import Link, Visitor
from agent.devshield.reply import TEXT, Reply, page
from agent.devshield.request_body import BadBody, body_of
from agent.errors import AgentError

log = logging.getLogger(__name__)


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


class Serving(Protocol):
    """Whose connection it is: what answers, how long a body may be, and whether all is to end."""

    application: Application
    stop: threading.Event
    body_bytes: int


class Exchange(BaseHTTPRequestHandler):
    """One connection, until either end closes it or all is to end."""

    protocol_version = "HTTP/1.1"
    server: Serving  # type: ignore[assignment]
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
        outcome = self._outcome(request)
        self.close_connection |= self.server.stop.is_set()
        self._send(outcome)

    def _outcome(self, request: Request) -> Outcome:
        """What the application makes of it; an error of its own is said in the log, and to the client as a 500."""
        try:
            return self.server.application(request)
        except Exception as error:
            known = isinstance(error, (OSError, AgentError))  # as a file that another user owns; the rest are bugs
            about = {"CLIENT": request.address, "REASON": f"{type(error).__name__}: {error}"}
            log.error("request not answered", exc_info=None if known else error, extra=about)  # noqa: TRY400 - see above
            return Outcome(Reply(500, TEXT, b"the server failed, and its log says why"))

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
        if self.server.stop.is_set():
            return  # what is torn may be so because all ends, which is no fault of the client's
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
