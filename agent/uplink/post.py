"""POST and GET, and what came back of them.

A dead network, a refusing shield or a torn certificate file is an Answer, not an exception. The environment's
CA and proxy variables and .netrc are never read: no requests.Session is made, only its transport adapter.
"""

import ssl
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from agent.causes import causes, plain
from agent.delivery import Answer, Verdict, judge, lists, offer, results, retry_after
from agent.uplink.deadline import Deadline
from agent.uplink.target import Target
from agent.uplink.tls import Adapter, tls_context

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

IDLE_SECONDS: Final = 300.0  # Cloudflare closes idle connections after 400 s; leave first, so no POST races the close
ANSWER_BYTES: Final = 64 << 10  # more of an answer is not read; the connection is then closed
# alerts that are about this device's certificate; others (internal error …) are the server's weather
REFUSALS: Final = ("ALERT_CERTIFICATE", "ALERT_BAD_CERTIFICATE", "ALERT_UNSUPPORTED_CERTIFICATE", "ALERT_UNKNOWN_CA",
                   "ALERT_ACCESS_DENIED", "ALERT_DECRYPT_ERROR", "ALERT_HANDSHAKE_FAILURE")  # fmt: skip
GZIP_LEVEL: Final = 6
GZIP_FRAME: Final = 31  # zlib's wbits: a window of 15 bits, and 16 for gzip's frame
USER_AGENT: Final = "sensor-agent"
BATCH_STATUS: Final = 207  # Multi-Status: understood, and a result for each item


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
        self._last_used = monotonic()
        self._request = requests.Request(
            "POST",
            target.url,
            headers={"Content-Type": "application/json", "User-Agent": USER_AGENT, "Accept": "*/*"},
            data=b"{}",
        ).prepare()

    def post(self, body: bytes, *, key: str) -> Answer:
        """The shield's answer to one reading, or what kept it from answering; never raises for the outside world.

        `key` is the Idempotency-Key, the same on every try of one reading.
        """
        request = self._request.copy()
        request.body = body
        request.headers["Content-Length"] = str(len(body))
        request.headers["Idempotency-Key"] = f'"{key}"'
        return self._send(request, accept=self._target.accept_status)[0]

    def post_batch(self, items: Sequence[bytes], *, gzip: bool) -> Answer:
        """The shield's answer to several readings at once, with `results` if it tells of each; never raises either.

        Nothing but 207 with a result for each acknowledges any of them.
        """
        request = self._request.copy()
        body = b"[" + b",".join(items) + b"]"
        if gzip:
            body = compressed(body)
            request.headers["Content-Encoding"] = "gzip"
        request.body = body
        request.headers["Content-Length"] = str(len(body))
        answer, text = self._send(request, accept=())
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
        request = requests.Request("GET", self._target.url, headers={"User-Agent": USER_AGENT}).prepare()
        return self._send(request, accept=self._target.accept_status)

    def abort(self) -> None:
        """End the request in flight, and every later one, at once; the one method for another thread."""
        self._deadline.cut()

    def _send(self, request: requests.PreparedRequest, *, accept: tuple[int, ...]) -> tuple[Answer, bytes]:
        """What came back, and the beginning of its body; a status of `accept` needs no body."""
        try:
            adapter = self._connected()
        except OSError as error:
            # plain OSError or ssl.SSLError from the certificate files; nothing has left
            return Answer(Verdict.HOLD, detail=f"certificate, key or CA file cannot be loaded: {error}"), b""
        self._deadline.start(self._target.timeout_seconds)
        try:
            self._deadline.left()
            response = adapter.send(
                request,
                stream=True,
                timeout=self._target.timeout_seconds,
                proxies={"https": self._target.proxy} if self._target.proxy else {},
            )
        except (OSError, requests.RequestException, HTTPError) as error:
            self.close()
            return fault(error, sent=self._deadline.sent, stale=self._deadline.found_stale), b""
        try:
            with response:
                text, whole = _read(response.raw, self._deadline)
        except (OSError, HTTPError) as error:  # urllib3's own while the body is read
            if response.status_code not in accept:  # else it is stored, whatever its body
                self.close()
                return fault(error, sent=self._deadline.sent, stale=self._deadline.found_stale), b""
            text, whole = b"", False
        self._last_used = self._monotonic()
        if not whole:
            self.close()
        headers = response.headers
        announced = headers.get("Sensor-Batch")
        tells = announced is not None or response.status_code in {*accept, BATCH_STATUS}
        answer = Answer(
            verdict=judge(response.status_code, content_type=headers.get("Content-Type", ""), text=text, accept=accept),
            status=response.status_code,
            retry_after=retry_after(headers.get("Retry-After"), now=datetime.now(UTC)),
            detail=describe(response.status_code, text, headers),
            offer=offer(announced, headers.get("Accept-Encoding")) if tells else None,
        )
        return answer, text

    def _connected(self) -> Adapter:
        if self._adapter is not None and self._monotonic() - self._last_used > IDLE_SECONDS:
            self._adapter.close()  # keeps the context: a new connection costs 2 ms of CPU, not 30
        if self._adapter is None:
            self._adapter = Adapter(
                tls_context(self._target.ca_file, self._deadline, urlsplit(self._target.url).hostname or "", self._pair)
            )
        return self._adapter

    def close(self) -> None:
        """Close the connection; the next POST opens one. Certificate files stay as loaded."""
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


def fault(error: Exception, *, sent: bool, stale: bool = False) -> Answer:
    """What an exception of the transport means; `sent`: some of the request had left, so it may have been stored.

    A server certificate that does not verify is not the shield (or the clock is wrong): MISDIRECTED. An alert
    about the certificate is a refusal of this device. Everything else may pass.
    """
    chain = list(causes(error))
    for cause in chain:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Answer(
                Verdict.MISDIRECTED, detail=f"the shield's certificate does not verify: {cause.verify_message}"
            )
    for cause in chain:
        if isinstance(cause, ssl.SSLError) and any(word in (cause.reason or "") for word in REFUSALS):
            return Answer(Verdict.HOLD, detail=f"TLS refusal: {cause.reason}")
    return Answer(Verdict.RETRY, detail=plain(error), ambiguous=sent, stale=stale)


def describe(status: int, text: bytes, headers: Any) -> str:
    """The answer in one line for a person: status, Cloudflare's ray id, and the first words, made printable."""
    words = " ".join(text[:2048].decode("utf-8", "replace").split())
    words = "".join(letter if letter.isprintable() else "?" for letter in words)[:120]
    ray = headers.get("CF-Ray", "")[:40]
    return f"HTTP {status}" + (f", CF-Ray {ray}" if ray else "") + (f": {words}" if words else "")
