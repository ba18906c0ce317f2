"""The extended API: what a Worker worth deploying answers, announced by headers and spoken only when asked to.

A device is its certificate's fingerprint. Key and reading are remembered: the second time it is 201 and not stored.
Another reading under a known key is stored, because losing it is worse than a key that is used twice.
"""

import json
import re
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.devshield import extended_query, javascript
from agent.devshield.exchange import Request
from agent.devshield.extended_reading import NAME_LETTERS, about_key, complaint, parse
from agent.devshield.known_keys import KnownKeys
from agent.devshield.readings import Readings
from agent.devshield.reply import HTML, JSON, TEXT, Reply
from agent.devshield.request_target import path_and_query

BATCH: Final = 500  # items
BODY_BYTES: Final = 1 << 20  # after decompression
ANNOUNCEMENT: Final = (("Sensor-Batch", str(BATCH)), ("Accept-Encoding", "gzip"))
PAGE: Final = Path(__file__).with_name("reader.html")  # the Worker's too; it says itself what it may load
PAGE_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
)
METHODS: Final = {"/": ("GET",), "/temps": ("GET", "POST"), "/sensors": ("GET",)}  # and HEAD, OPTIONS
_KEY: Final = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"')  # a structured-field string, RFC 8941 §3.3.3
_GZIP: Final = 31  # wbits of zlib: 15, and 16 for gzip's frame


@dataclass(frozen=True, slots=True)
class Handled:
    """An answer, how many readings it stored, the body decompressed, and the status of each item of a batch."""

    reply: Reply
    stored: int = 0
    body: bytes | None = None
    results: tuple[int, ...] | None = None


class Refused(Exception):
    """A request that is not understood: the reply says why."""

    def __init__(self, status: int, reason: str, *headers: tuple[str, str]) -> None:
        super().__init__(reason)
        self.reply: Final = Reply(status, TEXT, f"{reason}\n".encode("utf-8", "replace"), headers)


class ExtendedApi:
    """Over the readings of all devices; `readers` may hold which fingerprints a reader's fingerprint sees. For any thread.

    `now` gives UNIX seconds.
    """

    def __init__(
        self, readings: Readings, keys: KnownKeys, readers: Path, *, now: Callable[[], float] = time.time
    ) -> None:
        self._readings = readings
        self._keys = keys
        self._readers = readers
        self._now = now
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Handled:
        """What becomes of a request that the edge let in."""
        try:
            handled = self._handled(request)
        except Refused as refused:
            handled = Handled(refused.reply)
        reply = handled.reply
        if path_and_query(request.target)[0] != "/temps":
            return handled
        announced = Reply(reply.status, reply.content_type, reply.body, (*ANNOUNCEMENT, *reply.headers))
        return Handled(announced, handled.stored, handled.body, handled.results)

    def _handled(self, request: Request) -> Handled:
        device = request.visitor.fingerprint_sha256 or request.address
        path, query = path_and_query(request.target)
        if path not in METHODS:
            raise Refused(404, f"nothing here: {', '.join(METHODS)} are there")
        allow = ", ".join((*METHODS[path], "HEAD", "OPTIONS"))
        if request.method == "OPTIONS":
            return Handled(Reply(204, TEXT, b"", (("Allow", allow),)))
        if request.method == "POST" and "POST" in METHODS[path]:
            return self._post(device, request)
        if request.method in {"GET", "HEAD"}:
            return Handled(self._get(device, path, query))
        raise Refused(405, f"{path} takes {allow}", ("Allow", allow))

    def _post(self, device: str, request: Request) -> Handled:
        body = decompressed(request)
        try:
            value = parse(body)
        except ValueError as error:
            raise Refused(400, str(error)) from error
        with self._lock:
            if isinstance(value, list):
                return self._batch(device, value, body)
            found = _KEY.fullmatch(request.headers.get("idempotency-key", "").strip())
            key = re.sub(r"\\(.)", r"\1", found[1]) if found else ""
            if len(key) > NAME_LETTERS:
                raise Refused(400, f"Idempotency-Key: more than {NAME_LETTERS} letters")
            status, wrong, stored = self._item(device, value, key)
        if wrong:
            raise Refused(status, wrong)
        return Handled(Reply(201, TEXT), stored, body)

    def _batch(self, device: str, items: list[Any], body: bytes) -> Handled:
        if not items:
            raise Refused(400, "batch: is empty")
        if len(items) > BATCH:
            raise Refused(413, f"batch: {len(items)} items, more than {BATCH}")
        results: list[dict[str, Any]] = []
        stored = 0
        for item in items:
            key = item.get("key") if isinstance(item, dict) else None
            wrong = complaint(item, now=self._now()) or about_key(key)
            if wrong:
                results.append({"status": 400, "error": wrong})
                continue
            status, wrong, new = self._item(device, {name: item[name] for name in item if name != "key"}, str(key))
            stored += new
            results.append({"status": status, "error": wrong} if wrong else {"status": status})
        reply = Reply(207, JSON, json.dumps({"results": results}).encode())
        return Handled(reply, stored, body, tuple(each["status"] for each in results))

    def _item(self, device: str, value: Any, key: str) -> tuple[int, str, int]:
        """The status of one reading, what is wrong with it, and whether it was stored just now."""
        if wrong := complaint(value, now=self._now()):
            return 400, wrong, 0
        if key and self._keys.has(device, key, value):
            return 201, "", 0
        self._readings.meet(device)
        if refusal := self._readings.add(device, value, limited=False):
            return 413, refusal, 0  # 25 MiB of one device: the Worker forgets, this one is for a while
        if key:
            self._keys.add(device, key, value)
        return 201, "", 1

    def _get(self, device: str, path: str, query: str) -> Reply:
        if path == "/":
            return Reply(200, HTML, PAGE.read_bytes(), PAGE_HEADERS)
        seen = {one: self._readings.of(one) or () for one in self._seen_by(device)}
        if path == "/sensors":
            rows = [{**row, "device": one} for one in seen for row in extended_query.by_sensor(seen[one])]
            return _json({"sensors": rows})
        visible = [each for one in seen for each in seen[one]]
        try:
            return _json(extended_query.chosen(visible, extended_query.read(query)))
        except ValueError as error:
            raise Refused(400, str(error)) from error

    def _seen_by(self, device: str) -> Sequence[str]:
        """Whose readings a certificate sees: what the operator lists for it, else its own."""
        try:
            return _listed(self._readers.read_bytes() if self._readers.exists() else b"{}", device)
        except ValueError as error:
            raise Refused(503, f"{self._readers}: {error}", ("Retry-After", "60")) from error


def decompressed(request: Request) -> bytes:
    """The body without its encoding; raises Refused: 415 for another encoding, 413 if it is too large, 400 if damaged."""
    encoding = request.headers.get("content-encoding", "").strip().lower() or "identity"
    body = request.body
    if encoding == "gzip":
        unpack = zlib.decompressobj(_GZIP)
        try:
            body = unpack.decompress(body, BODY_BYTES + 1)
        except zlib.error as error:
            raise Refused(400, f"body: not gzip ({error})") from error
        if len(body) <= BODY_BYTES and (not unpack.eof or unpack.unused_data):
            raise Refused(400, "body: gzip that ends too soon or too late")
    elif encoding != "identity":
        raise Refused(415, f"Content-Encoding: {encoding[:40]} is not known", ("Accept-Encoding", "gzip"))
    if len(body) > BODY_BYTES:
        raise Refused(413, f"body: larger than {BODY_BYTES} bytes")
    return body


def _listed(readers: bytes, device: str) -> list[str]:
    """What the operator lists for the device, else the device; raises ValueError for what is no such list."""
    value = json.loads(readers)
    listed = {who.lower(): sees for who, sees in value.items()} if isinstance(value, dict) else {device: None}
    sees = listed.get(device, [device])
    if not (isinstance(sees, list) and all(isinstance(one, str) for one in sees)):
        raise ValueError(f'{{"{device}": ["a device\'s fingerprint", …]}} is needed')
    return [one.lower() for one in sees]


def _json(value: Any) -> Reply:
    return Reply(200, JSON, javascript.stringify(value).encode("utf-8", "replace"))
