"""One request and its answer on a connection that stands, with no more between them and the socket than is needed."""

import io
import socket
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any, Final, cast

from agent.record import dataclass
from agent.uplink import head
from agent.uplink.incoming import PIECE, Incoming

ANSWER_BYTES: Final = 64 << 10  # more of an answer is not read; the connection is then closed
HEAD_BYTES: Final = 16 << 10  # a longer head is unusual
HEADS: Final = 16  # of interim answers, and that of the answer
RAW_BYTES: Final = 8 * ANSWER_BYTES  # of an unusual answer, however it wraps these


@dataclass(frozen=True, slots=True)
class Reply:
    """`text` is the body's first 64 KiB; `fault` is what kept the rest from coming. Field names are in lower case.

    `keeps`: that was all of it, and the connection may be used again.
    """

    status: int
    fields: Mapping[str, str]
    text: bytes
    keeps: bool
    fault: Exception | None = None


def exchange(sock: socket.socket, request: bytes, method: str) -> Reply:
    """Send the request whole, head and body in one TLS record and packet, and read the answer.

    Raises OSError or http.client.HTTPException if no answer came, or none that can be understood.
    """
    sock.sendall(request)
    had, end, found = b"", 0, None
    for _ in range(HEADS):
        had, end = _to_its_end(sock, had[end:])
        found = head.usual(had[:end])
        if found or not head.INTERIM.match(had[:end]):
            break
    if found is None:
        return _unusual(sock, had, method)
    coming = Incoming(sock, had[end:])
    try:
        text, whole = coming.chunks(ANSWER_BYTES) if found.size is None else coming.sized(found.size, ANSWER_BYTES)
    except (OSError, HTTPException) as error:
        return Reply(found.status, found.fields, b"", keeps=False, fault=error)
    return Reply(found.status, found.fields, text, keeps=whole and not coming.had)


def _to_its_end(sock: socket.socket, had: bytes) -> tuple[bytes, int]:
    """What has come, and where a head in it ends: 0 if it does not."""
    had = had or sock.recv(PIECE)
    while (place := had.find(head.END)) < 0 and _goes_on(had):
        piece = sock.recv(PIECE)
        if not piece:
            break
        had += piece
    return had, place + len(head.END) if place >= 0 else 0


def _goes_on(had: bytes) -> bool:
    """Whether this can be the beginning of a usual head, so that its end is worth waiting for."""
    if not had or len(had) > HEAD_BYTES or b"\n\n" in had:
        return False
    status = had[len(head.BEGINNING) : len(head.BEGINNING) + 3]
    return had.startswith(head.BEGINNING[: len(had)]) and (not status or status.isdigit())


def _unusual(sock: socket.socket, had: bytes, method: str) -> Reply:
    """An answer without a length, of HTTP/1.0, … or none at all. Its connection is not kept."""
    response = HTTPResponse(cast("socket.socket", _Again(had, sock)), method=method)
    try:
        response.begin()
        status, fields = response.status, head.joined(response.headers.items())
        try:
            text = response.read(ANSWER_BYTES + 1)
            if response.length and len(text) <= ANSWER_BYTES:
                raise IncompleteRead(text, response.length)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a chunk of a negative size
            return Reply(status, fields, b"", keeps=False, fault=error)
        return Reply(status, fields, text, keeps=False)
    finally:
        response.close()


class _Again(io.RawIOBase):
    """What has been read of a socket, and then what it goes on to give; as http.client wants a socket."""

    def __init__(self, had: bytes, sock: socket.socket) -> None:
        self._had, self._sock, self._room = had, sock, RAW_BYTES

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        most = min(len(buffer), self._room)
        piece = self._had[:most] or self._sock.recv(most)
        self._had, self._room = self._had[len(piece) :], self._room - len(piece)
        buffer[: len(piece)] = piece
        return len(piece)
