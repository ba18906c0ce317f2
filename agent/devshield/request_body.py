"""The body of an HTTP/1.1 request, whole: by its length or in chunks, whichever the head says without contradiction.

Strict, because two readings of one head are how a request is smuggled past an edge (RFC 9112 §6.1, §11.2).
"""

import re
from email.message import Message
from typing import BinaryIO, Final

CHUNKS: Final = 1 << 16
TRAILERS: Final = 64
LINE_BYTES: Final = 1024  # of a chunk's size with its extensions, and of a trailer
_DIGITS: Final = re.compile(r"[0-9]{1,15}")
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[^\r\n]*)?\r?\n")


class BadBody(Exception):
    """A body that cannot be read: `status` is what to answer, and the connection is of no more use."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status: Final = status


def body_of(headers: Message, stream: BinaryIO, *, most: int) -> bytes:
    """The body of a request with that head, of `most` bytes at most. Raises BadBody."""
    encodings = headers.get_all("Transfer-Encoding", [])
    lengths = headers.get_all("Content-Length", [])
    if encodings and lengths:
        raise BadBody(400, "there are Content-Length and Transfer-Encoding")
    if encodings:
        if [each.strip().lower() for each in encodings] != ["chunked"]:
            raise BadBody(400, "Transfer-Encoding is not chunked")
        return _in_chunks(stream, most)
    if len(set(lengths)) > 1:
        raise BadBody(400, "there is more than one Content-Length")
    length = lengths[0].strip() if lengths else "0"
    if not _DIGITS.fullmatch(length):
        raise BadBody(400, "Content-Length is no number of bytes")
    return _exactly(stream, int(length), most)


def _in_chunks(stream: BinaryIO, most: int) -> bytes:
    body = bytearray()
    for _ in range(CHUNKS):
        found = _SIZE.fullmatch(stream.readline(LINE_BYTES))
        if found is None:
            raise BadBody(400, "a chunk has no size")
        size = int(found[1], 16)
        if size == 0:
            _skip_trailers(stream)
            return bytes(body)
        body += _exactly(stream, size, most - len(body))
        if stream.readline(3) not in {b"\r\n", b"\n"}:
            raise BadBody(400, "a chunk is longer than it says")
    raise BadBody(400, f"there are more than {CHUNKS} chunks")


def _skip_trailers(stream: BinaryIO) -> None:
    for _ in range(TRAILERS):
        if stream.readline(LINE_BYTES) in {b"\r\n", b"\n", b""}:
            return
    raise BadBody(400, f"there are more than {TRAILERS} trailers")


def _exactly(stream: BinaryIO, size: int, room: int) -> bytes:
    if size > room:
        raise BadBody(413, "the body is too large")
    part = stream.read(size)
    if len(part) < size:
        raise BadBody(400, "the body ended too soon")
    return part
