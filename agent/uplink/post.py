"""POST and GET, and what came back of them.

A dead network, a refusing shield or a torn certificate file is an Answer, not an exception. The environment's
CA and proxy variables and .netrc are never read: no requests.Session is made, only its transport adapter.
"""

import time
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from agent.delivery import Answer, Verdict, lists, results
from agent.record import replace
from agent.uplink.deadline import Deadline
from agent.uplink.outcome import BATCH_STATUS, fault, outcome
from agent.uplink.target import Target
from agent.uplink.tls import Adapter, tls_context

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPSConnectionPool

IDLE_SECONDS: Final = 300.0  # Cloudflare closes idle connections after 400 s; leave first, so no POST races the close
ANSWER_BYTES: Final = 64 << 10  # more of an answer is not read; the connection is then closed
GZIP_LEVEL: Final = 6
GZIP_FRAME: Final = 31  # zlib's wbits: a window of 15 bits, and 16 for gzip's frame
USER_AGENT: Final = "sensor-agent"
HEADERS: Final = {"Content-Type": "application/json", "User-Agent": USER_AGENT, "Accept": "*/*"}


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
        self._adapter: Adapter | None = None
        self._pool: HTTPSConnectionPool | None = None
        self._last_used = monotonic()
        self._path = requests.Request("POST", target.url).prepare().path_url

    def post(self, body: bytes, *, key: str) -> Answer:
        """The shield's answer to one reading, or what kept it from answering; never raises for the outside world.

        `key` is the Idempotency-Key, the same on every try of one reading.
        """
        headers = HEADERS | {"Content-Length": str(len(body)), "Idempotency-Key": f'"{key}"'}
        return self._send("POST", headers, body, accept=self._target.accept_status)[0]

    def post_batch(self, items: Sequence[bytes], *, gzip: bool) -> Answer:
        """The shield's answer to several readings at once, with `results` if it tells of each; never raises either.

        Nothing but 207 with a result for each acknowledges any of them.
        """
        body = b"[" + b",".join(items) + b"]"
        body = compressed(body) if gzip else body
        encoding = {"Content-Encoding": "gzip"} if gzip else {}
        headers = HEADERS | encoding | {"Content-Length": str(len(body))}
        answer, text = self._send("POST", headers, body, accept=())
        if answer.status != BATCH_STATUS:
            return answer
        told = results(text, count=len(items), accept=self._target.accept_status)
        return replace(answer, verdict=Verdict.ACK, detail="", results=told) if told else answer

    def get(self) -> Answer:
        """The answer to a GET of the same URL: reads, stores nothing; for `check`."""
        return self._get()[0]

    def find(self, body: bytes) -> tuple[Answer, bool]:
        """The answer to a GET of the URL, and whether it lists the reading that was sent as `body`."""
        answer, text = self._get()
        return answer, answer.status == 200 and lists(text, body)

    def _get(self) -> tuple[Answer, bytes]:
        return self._send("GET", {"User-Agent": USER_AGENT}, None, accept=self._target.accept_status)

    def abort(self) -> None:
        """End the request in flight, and every later one, at once; the one method for another thread."""
        self._deadline.cut()

    def _send(
        self, method: str, headers: dict[str, str], body: bytes | None, *, accept: tuple[int, ...]
    ) -> tuple[Answer, bytes]:
        """What came back, and the beginning of its body; a status of `accept` needs no body."""
        try:
            pool = self._connected()
        except OSError as error:
            # plain OSError or ssl.SSLError from the certificate files; nothing has left
            return Answer(Verdict.HOLD, detail=f"certificate, key or CA file cannot be loaded: {error}"), b""
        deadline = self._deadline
        deadline.start(self._target.timeout_seconds)
        try:
            deadline.left()
            # not the adapter's own `send`, whose look-ups and cookies are a third of the cost
            response = pool.urlopen(
                method,
                self._path,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=self._target.timeout_seconds,
                preload_content=False,
                decode_content=False,
                enforce_content_length=True,  # urllib3 1.26 took an answer cut short for a whole one
            )
        except (OSError, HTTPError) as error:
            self.close()
            return fault(error, sent=deadline.sent, stale=deadline.found_stale), b""
        try:
            with response:
                text, whole = _read(response, deadline)
        except (OSError, HTTPError) as error:  # urllib3's own while the body is read
            if response.status not in accept:  # else it is stored, whatever its body
                self.close()
                return fault(error, sent=deadline.sent, stale=deadline.found_stale), b""
            text, whole = b"", False
        self._last_used = self._monotonic()
        if not whole:
            self.close()
        return outcome(response.status, response.headers, text, accept=accept), text

    def _connected(self) -> "HTTPSConnectionPool":
        if self._pool is not None and self._monotonic() - self._last_used > IDLE_SECONDS:
            self.close()
        if self._adapter is None:  # kept, with its context: a new connection costs 2 ms of CPU, not 30
            host = urlsplit(self._target.url).hostname or ""
            self._adapter = Adapter(tls_context(self._target.ca_file, self._deadline, host, self._pair))
        if self._pool is None:
            self._pool = self._adapter.pool(self._target.url, self._target.proxy)
        return self._pool

    def close(self) -> None:
        """Close the connection; the next POST opens one. Certificate files stay as loaded."""
        self._pool = None
        if self._adapter is not None:
            self._adapter.close()


def _read(raw: "BaseHTTPResponse", deadline: Deadline) -> tuple[bytes, bool]:
    """The answer's first 64 KiB, and whether that was all of it (only then can the connection be kept)."""
    text = b""
    while len(text) <= ANSWER_BYTES:
        deadline.left()
        chunk = raw.read(ANSWER_BYTES + 1 - len(text), decode_content=False)
        if not chunk:
            return text, True
        text += chunk
    return text, False


def compressed(body: bytes) -> bytes:
    """As gzip (RFC 1952), without a time in it: the same bytes for the same readings."""
    packing = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_FRAME)
    return packing.compress(body) + packing.flush()
