"""An answer read by the uplink's own few lines says what the standard library would have read, or is left to it."""

import io
import itertools
import socket
from collections.abc import Sequence
from http.client import HTTPException, HTTPResponse
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.uplink.exchange import ANSWER_BYTES, Reply, exchange
from agent.uplink.head import joined, usual

CHECKED = settings(max_examples=400, deadline=None, derandomize=True)
NGINX = (
    b"HTTP/1.1 201 Created\r\nServer: nginx/1.22.1\r\nDate: Sun, 29 Nov 2026 16:38:15 GMT\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n"
)
EDGE = (
    b"HTTP/1.1 201 Created\r\nDate: Sun, 29 Nov 2026 16:38:15 GMT\r\nContent-Type: text/plain;charset=UTF-8\r\n"
    b'Transfer-Encoding: chunked\r\nConnection: keep-alive\r\nCF-RAY: 8f2a-FRA\r\nServer: cloudflare\r\nNEL: {"a":0}\r\n\r\n'
)
LINES = st.sampled_from(
    [
        *(
            "Content-Length: 2",
            "content-length:  002\t",
            "Content-Length: 2, 2",
            "Content-Length: -2",
            "Content-Length: \xb2",
        ),
        *(
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Connection: close",
            "Connection: Keep-Alive",
        ),
        *(
            "Connection: keep-alive, close",
            "Connection: Upgrade",
            "Connection: Upgrade, Keep-Alive",
            "Connection: Upgrade, CLOSE",
            "Upgrade: h2,h2c",
            "X: y",
            "X : y",
            "X: \xe9 \t",
            "X: a\x00b",
            "X: a\x0bb",
            " folded",
            ":",
            "X",
            "",
            "x:z",
        ),
        *("Sensor-Batch: 500", "Sensor-Batch: 1", "Retry-After: 7", "X: a\rb", "X: a\nContent-Length: 3"),
    ]
)
FIRST = st.sampled_from(
    ["HTTP/1.1 201 Created"] * 6
    + ["HTTP/1.1 201", "HTTP/1.0 201 Created", "HTTP/1.1 100 Continue", "HTTP/1.1 204 None", "HTTP/1.1 304 Same"]
    + ["HTTP/1.1 2010 X", "HTTP/1.1  201 X", "http/1.1 201 X", "HTTP/1.1 abc X", "SSH-2.0-x", "", "HTTP/1.1 999 \xe9"]
)
BODIES = st.sampled_from(
    [
        *(b"", b"ok", b"o", b"ok more", b"2\r\nok\r\n0\r\n\r\n", b"0\r\n\r\nmore"),
        *(b"2;a=b\r\nok\r\n1\r\n!\r\n0\r\nT: x\r\n\r\n", b"2 \r\nok\r\n0\r\n\r\n", b"2\r\nokay\r\n0\r\n\r\n"),
        *(b"zz\r\n", b"-1\r\nok", b"2\r\no", b"1_0\r\nok"),
    ]
)


def head_of(first: str, lines: Sequence[str], ends: str) -> bytes:
    return "".join(f"{line}{ends}" for line in (first, *lines, "")).encode("latin-1")


HEADS = st.builds(
    head_of, FIRST, st.lists(LINES, max_size=5), st.sampled_from(["\r\n", "\r\n", "\r\n", "\n"])
) | st.sampled_from([NGINX, EDGE])


class Heard:
    """A socket, as far as http.client wants one, that has heard these bytes and then the end."""

    def __init__(self, said: bytes) -> None:
        self.said = said

    def makefile(self, _: str) -> io.BytesIO:
        return io.BytesIO(self.said)


def library(said: bytes) -> HTTPResponse:
    """What the standard library reads; raises HTTPException, OSError or ValueError."""
    response = HTTPResponse(cast("socket.socket", Heard(said)), method="POST")
    response.begin()
    return response


def exchanged(*pieces: bytes) -> Reply:
    """The reply to a request whose answer comes in these pieces, and then the end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # hands over piece by piece
    with ours, theirs:
        for piece in pieces:
            theirs.sendall(piece)
        theirs.shutdown(socket.SHUT_WR)
        return exchange(ours, b"POST / HTTP/1.1\r\n\r\n", "POST")


@CHECKED
@given(raw=HEADS)
def test_a_usual_head_is_read_as_the_library_reads_it(raw: bytes) -> None:
    found = usual(raw)
    if found is not None:
        known = library(raw)
        assert (found.status, found.fields) == (known.status, joined(known.headers.items()))
        assert found.size == (None if known.chunked else known.length)
        assert not known.will_close


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"


@pytest.mark.parametrize("between", [(INTERIM + EDGE,), (INTERIM, EDGE), (INTERIM[:9], INTERIM[9:] + EDGE)])
@pytest.mark.parametrize("interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102\r\n\r\n" * 3, INTERIM])
def test_what_comes_before_the_answer_is_not_the_answer(between: Sequence[bytes], interim: bytes) -> None:
    first, *rest = between
    got = exchanged(interim + first, *rest, b"0\r\n\r\n")
    assert (got.status, got.text, got.keeps) == (201, b"", True)


def test_an_upgrade_that_nobody_asked_for_is_an_answer() -> None:
    assert exchanged(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + NGINX).status == 101


def test_an_interim_answer_alone_is_none() -> None:
    with pytest.raises(HTTPException):
        exchanged(INTERIM)


@pytest.mark.parametrize("raw", [NGINX, EDGE], ids=["nginx", "Cloudflare"])
def test_what_shields_send_is_usual(raw: bytes) -> None:
    assert usual(raw) is not None


@pytest.mark.parametrize("connection", ["Upgrade", "Upgrade, Keep-Alive"])
def test_an_offered_upgrade_costs_no_handshake(connection: str) -> None:
    # Apache offers it where it knows HTTP/2 too
    got = exchanged(NGINX.replace(b"keep-alive", b"%s\r\nUpgrade: h2,h2c" % connection.encode()) + b"ok")
    assert (got.status, got.text, got.keeps) == (201, b"ok", True)


@CHECKED
@given(raw=HEADS, body=BODIES, cuts=st.lists(st.integers(1, 300), max_size=3))
def test_an_answer_in_any_pieces_is_what_the_library_would_have_read_or_a_fault(
    raw: bytes, body: bytes, cuts: list[int]
) -> None:
    said = raw + body
    places = [0, *sorted({cut for cut in cuts if cut < len(said)}), len(said)]
    pieces = [said[begin:end] for begin, end in itertools.pairwise(places) if begin < end]
    known: Any = None
    try:
        known = library(said)
        text = known.read(ANSWER_BYTES + 1)
    except (OSError, HTTPException, ValueError):
        text = None
    try:
        got = exchanged(*pieces)
    except (OSError, HTTPException):
        assert known is None or known.status is None or text is None
        return
    assert (got.status, got.fields) == (known.status, joined(known.headers.items()))
    if got.fault is None:
        assert got.text == text
    if got.keeps:
        assert said.endswith((b"\r\n0\r\n\r\n", b"\r\n\r\n", got.text))
        assert len(raw + got.text) == len(said) or known.chunked


@pytest.mark.parametrize("more", [b"!", b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"])
@pytest.mark.parametrize("whole", [NGINX + b"ok", EDGE + b"2\r\nok\r\n0\r\n\r\n"], ids=["sized", "chunked"])
def test_what_follows_an_answer_unasked_is_not_taken_for_the_next_one(whole: bytes, more: bytes) -> None:
    assert exchanged(whole).keeps
    got = exchanged(whole + more)
    assert (got.text, got.keeps) == (b"ok", False)


@pytest.mark.parametrize("size", [ANSWER_BYTES, ANSWER_BYTES + 1])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_is_read_to_64_kib(size: int, chunked: bool) -> None:
    said = b"x" * size
    if chunked:
        head, body = EDGE, b"%x\r\n%s\r\n0\r\n\r\n" % (size, said)
    else:
        head, body = NGINX.replace(b"Length: 2", b"Length: %d" % size), said
    got = exchanged(head, *(body[at : at + 9000] for at in range(0, len(body), 9000)))
    assert got.text == said[:ANSWER_BYTES]
    assert got.keeps is (size == ANSWER_BYTES)


@pytest.mark.parametrize(
    "said",
    [
        NGINX + b"o",
        EDGE + b"2\r\no",
        EDGE + b"2\r\nok\r\n",
        EDGE + b"zz\r\n",
        EDGE + b"2\r\nokay\r\n0\r\n\r\n",
        EDGE + b"x" * 9000,
        b"HTTP/1.0 201 Created\r\nContent-Length: 2\r\n\r\no",
    ],
)
def test_a_body_that_is_cut_short_or_malformed_is_a_fault_of_an_answer_with_its_status(said: bytes) -> None:
    got = exchanged(said)
    assert (got.status, got.text, got.keeps) == (201, b"", False)
    assert isinstance(got.fault, HTTPException)


class Endless:
    """A socket that has more of the same for as long as it is asked, a thousand times at the most."""

    def __init__(self, said: bytes) -> None:
        self.said, self.asked = said, 0

    def sendall(self, _: bytes) -> None:
        pass

    def recv(self, most: int) -> bytes:
        self.asked += 1
        return self.said[:most] if self.asked <= 1000 else b""


def test_interim_answers_without_an_end_are_not_read_for_ever() -> None:
    sock = Endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 300)
    with pytest.raises(HTTPException):
        exchange(cast("socket.socket", sock), b"", "POST")
    assert sock.asked < 1000
