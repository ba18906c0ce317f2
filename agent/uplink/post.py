"""POST and GET, and what came back of them.

A dead network, a refusing shield or a torn certificate file is an Answer, not an exception. The environment's
CA and proxy variables and .netrc are never read: they are requests' habits, and this is urllib3 below it.
"""

import select
import time
import zlib
from collections.abc import Callable, Sequence
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from agent.delivery import Answer, Verdict, listed, results
from agent.record import replace
from agent.uplink.deadline import Deadline
from agent.uplink.exchange import exchange
from agent.uplink.outcome import BATCH_STATUS, fault, outcome
from agent.uplink.target import Target
from agent.uplink.tls import Connection, Pool, tls_context, way

IDLE_SECONDS: Final = 300.0  # Cloudflare closes idle connections after 400 s; leave first, so no POST races the close
GZIP_LEVEL: Final = 6
GZIP_FRAME: Final = 31  # zlib's wbits: a window of 15 bits, and 16 for gzip's frame
HTTPS_PORT: Final = 443
FIELDS: Final = "Accept-Encoding: identity\r\nUser-Agent: sensor-agent\r\n"
JSON: Final = "Content-Type: application/json\r\nAccept: */*\r\n"
GZIP: Final = "Content-Encoding: gzip\r\n"


class Uplink:
    """Posts to one shield as one device; for one thread. New certificate files need a new Uplink."""

    def __init__(
        self,
        target: Target,
        pair: tuple[str, str] | None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._pair = pair
        self._monotonic = monotonic
        self._deadline = Deadline()
        self._pool: Pool | None = None
        self._connection: Connection | None = None
        self._closed = select.poll()  # readable between two requests: the end of the connection, or nothing good
        self._last_used = monotonic()
        self._stopping = False
        self._begin = ""

    def post(self, body: bytes, *, key: str) -> Answer:
        """The shield's answer to one reading, or what kept it from answering; never raises for the outside world.

        `key` is the Idempotency-Key, the same on every try of one reading; raises ValueError if it is not printable ASCII.
        """
        if not (key.isascii() and key.isprintable()):
            raise ValueError(f"the key {key!r} does not go into a header field")
        fields = f'{JSON}Content-Length: {len(body)}\r\nIdempotency-Key: "{key}"\r\n'
        return self._send("POST", fields, body, accept=self._target.accept_status)[0]

    def post_batch(self, items: Sequence[bytes], *, gzip: bool) -> Answer:
        """The shield's answer to several readings at once, with `results` if it tells of each; never raises either.

        Nothing but 207 with a result for each acknowledges any of them.
        """
        body = b"[" + b",".join(items) + b"]"
        body = compressed(body) if gzip else body
        fields = f"{JSON}{GZIP if gzip else ''}Content-Length: {len(body)}\r\n"
        answer, text = self._send("POST", fields, body, accept=())
        if answer.status != BATCH_STATUS:
            return answer
        told = results(text, count=len(items), accept=self._target.accept_status)
        return replace(answer, verdict=Verdict.ACK, detail="", results=told) if told else answer

    def get(self) -> Answer:
        """The answer to a GET of the same URL: reads, stores nothing; for `check`."""
        return self._get()[0]

    def recent(self) -> tuple[Answer, list[Any]]:
        """The answer to a GET of the URL, and the readings that it lists; see agent.delivery.listed."""
        answer, text = self._get()
        return answer, listed(text) if answer.status == 200 else []

    def _get(self) -> tuple[Answer, bytes]:
        return self._send("GET", "", b"", accept=self._target.accept_status)

    def stop(self) -> bool:
        """Begin no request any more, but let one in flight end; gives whether there may be one. For another thread."""
        self._stopping = True
        return True

    def abort(self) -> None:
        """End the request in flight, and every later one, at once. For another thread."""
        self._deadline.cut()

    def _send(self, method: str, fields: str, body: bytes, *, accept: tuple[int, ...]) -> tuple[Answer, bytes]:
        """What came back, and the beginning of its body; a status of `accept` needs no body."""
        try:
            pool = self._way()
        except OSError as error:
            # plain OSError or ssl.SSLError from the certificate files; nothing has left
            return Answer(Verdict.HOLD, detail=f"certificate, key or CA file cannot be loaded: {error}"), b""
        except (HTTPError, ValueError) as error:  # its words may hold the password
            return Answer(
                Verdict.MISDIRECTED, detail=f"uplink.url or uplink.proxy cannot be used: {type(error).__name__}"
            ), b""
        deadline = self._deadline
        deadline.start(self._target.timeout_seconds)
        try:
            if self._stopping:
                raise ConnectionAbortedError("stopping")
            deadline.left()
            # not urllib3's own `urlopen` and http.client's parser, two thirds of the cost of a reading
            request = f"{method}{self._begin}{fields}\r\n".encode("ascii") + body
            reply = exchange(self._connected(pool).sock, request, method)
        except (OSError, HTTPException, HTTPError) as error:
            self.close()
            return fault(error, sent=deadline.sent, stale=deadline.found_stale), b""
        if reply.fault is not None and reply.status not in accept:  # else it is stored, whatever its body
            self.close()
            return fault(reply.fault, sent=deadline.sent, stale=deadline.found_stale), b""
        self._last_used = self._monotonic()
        answer = outcome(reply.status, reply.fields, reply.text, accept=accept)
        # certificates are judged in a handshake: after a refusal the next try has its own
        if not reply.keeps or answer.verdict is Verdict.HOLD:
            self.close()
        return answer, reply.text

    def _way(self) -> Pool:
        """How to connect; kept with its context, so that a new connection costs one handshake, and not 30 ms more."""
        if self._pool is None:
            url = self._target.url
            context = tls_context(self._target.ca_file, self._deadline, urlsplit(url).hostname or "", self._pair)
            self._begin = f" {parse_url(url).request_uri} HTTP/1.1\r\nHost: {host_field(url)}\r\n{FIELDS}"
            self._pool = way(url, self._target.proxy, context)
        return self._pool

    def _connected(self, pool: Pool) -> Connection:
        """The connection; a new one if it was idle for long, or is closed at the other end."""
        if self._connection is not None:
            if self._monotonic() - self._last_used <= IDLE_SECONDS and not self._closed.poll(0):
                return self._connection
            self.close()
        self._connection = pool.opened()
        self._closed.register(self._connection.sock, select.POLLIN)
        return self._connection

    def close(self) -> None:
        """Close the connection; the next POST opens one. Certificate files stay as loaded."""
        if self._connection is not None:
            self._closed.unregister(self._connection.sock)
            self._connection.close()
            self._connection = None


def host_field(url: str) -> str:
    """The value of Host: the port if it is not the usual one, and the brackets of an IPv6 address (RFC 9110 §7.2)."""
    where = parse_url(url)
    host = (where.host or "").rstrip(".")
    return host if where.port in {None, HTTPS_PORT} else f"{host}:{where.port}"


def compressed(body: bytes) -> bytes:
    """As gzip (RFC 1952), without a time in it: the same bytes for the same readings."""
    packing = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_FRAME)
    return packing.compress(body) + packing.flush()
