"""Whatever bytes come over a connection: an answer below 500 or none, no fault in the log, and the next one is served."""

import contextlib
import http.client
import logging
import os
import random
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from world.visitors import Pair, ask, connect, door

from agent.devshield.exchange import Outcome, Request
from agent.devshield.reply import TEXT, Reply
from agent.devshield.server import HttpServer
from agent.devshield.shield import Shield

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "400"))
BODY_BYTES = 1000
GOOD = b"POST /temps HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    """One whose application says how long the body was."""
    stop = threading.Event()

    def application(request: Request) -> Outcome:
        return Outcome(Reply(200, TEXT, f"{len(request.body)}".encode()))

    made = HttpServer(("127.0.0.1", 0), door, application, stop, body_bytes=BODY_BYTES, idle_seconds=1)
    made.start()
    yield made
    stop.set()
    made.close()


def statuses(server: HttpServer, said: bytes) -> list[int]:
    """The statuses of what comes back for these bytes, until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as peer:
        try:
            peer.sendall(said)
            peer.shutdown(socket.SHUT_WR)
            back = b"".join(iter(lambda: peer.recv(65536), b""))
        except OSError:  # closed before all was read
            return []
    found = []
    while back:
        head, _, back = back.partition(b"\r\n\r\n")
        found.append(int(head.split(b" ", 2)[1]))
        length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0] or b"0")
        back = back[length:]
    return found


NAMES = st.sampled_from(["Content-Length", "Transfer-Encoding", "Connection", "Expect", "Host", "X", "", " ", "\x00"])
WORDS = st.sampled_from(
    [
        "0",
        "2",
        "-1",
        "+2",
        "0x2",
        "1_0",
        "2, 2",
        "٢",
        "9" * 30,
        "",
        "chunked",
        "gzip, chunked",
        "identity",
        "close",
        "keep-alive",
        "100-continue",
        "\x00",
        "\xff",
        "a\r\n b",
        "a\rb",
    ]
)
FIELDS = st.tuples(NAMES, WORDS).map(lambda pair: f"{pair[0]}: {pair[1]}\r\n".encode())
LINES = st.builds(
    lambda method, target, version: f"{method} {target} {version}\r\n".encode(),
    st.sampled_from(["POST", "GET", "PUT", "TRACE", "CONNECT", "get", "", "\x00", "M" * 70_000, "P OST"]),
    st.sampled_from(["/temps", "*", "http://[", "//x", "/\x00", "/%", "?" * 66_000, "", "é"]),
    st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "HTTP/1.", "HTTP/²", "HTTP", ""]),
)
BODIES = st.binary(max_size=30) | st.sampled_from(
    [
        b"2\r\n{}\r\n0\r\n\r\n",
        b"2;x=y\r\n{}\r\n0\r\nA: b\r\n\r\n",
        b"-2\r\n{}",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"ffffffffff\r\n",
        b"2\r\n{}}}\r\n0\r\n\r\n",
        b"1\r\n{\r\n" * 2000,
        b"0\r\n" + b"A: b\r\n" * 5000,
        b"\r\n",
        b"2 \r\n{}\r\n0\r\n\r\n",
    ]
)
REQUESTS = st.builds(
    lambda line, fields, body: line + b"".join(fields) + b"\r\n" + body, LINES, st.lists(FIELDS, max_size=4), BODIES
)


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(said=st.lists(REQUESTS | st.binary(max_size=80) | st.just(GOOD), min_size=1, max_size=3).map(b"".join))
@example(said=b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 3000 + b"\r\n")
@example(said=b"GET / HTTP/1.1\r\nX: " + b"y" * 200_000 + b"\r\n\r\n")
@example(said=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
@example(said=b"TRACE / HTTP/1.1\r\n\r\n")
def test_any_bytes_are_answered_below_500_or_not_at_all(
    server: HttpServer, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    assert all(status < 500 for status in statuses(server, said))
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
    assert statuses(server, GOOD) == [200]


@pytest.mark.parametrize(
    ("fields", "body", "status"),
    [
        ("Content-Length: 2\r\nContent-Length: 3", b"{}", 400),
        ("Content-Length: 2\r\nTransfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: gzip, chunked", b"2\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked", b"1_0\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked", b"2\r\n{}}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked", b"3e9\r\n", 413),
        ("Transfer-Encoding: chunked", b"2;x=y\r\n{}\r\n0\r\nA: b\r\n\r\n", 200),
        ("Content-Length: +2", b"{}", 400),
        ("Content-Length: 1001", b"", 413),
        ("Content-Length: 2\r\nContent-Length: 2", b"{}", 200),
    ],
)
def test_a_body_that_is_told_in_two_ways_or_in_none_is_refused(
    server: HttpServer, fields: str, body: bytes, status: int
) -> None:
    said = f"POST / HTTP/1.1\r\n{fields}\r\n\r\n".encode() + body
    assert statuses(server, said) == [status]


def test_who_waits_for_100_is_told_to_go_on(server: HttpServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as peer:
        peer.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert peer.recv(100).startswith(b"HTTP/1.1 100 ")
        peer.sendall(b"{}")
        assert peer.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_never_comes_costs_a_connection_for_a_while_and_no_other(server: HttpServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as slow:
        slow.sendall(GOOD[:-1])
        assert statuses(server, GOOD) == [200]
        assert slow.recv(100).startswith(b"HTTP/1.1 400 ")


def test_torn_handshakes_and_noise_leave_the_shield_as_it_was(
    shield: Shield, device: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(7)
    hello = ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=str(shield.ca_file)).wrap_bio(
        ssl.MemoryBIO(), hello, server_hostname="localhost"
    )
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    said = hello.read()
    torn = [said[: chance.randrange(len(said))] for _ in range(20)]
    damaged = [bytes(byte ^ (chance.random() < 0.02) for byte in said) for _ in range(20)]
    noise = [chance.randbytes(chance.randrange(300)) for _ in range(20)]
    before = threading.active_count()
    for port in (shield.port, shield.api_port):
        for each in [*torn, *damaged, *noise, GOOD]:
            # it may have closed before all was said
            with socket.create_connection(("127.0.0.1", port), timeout=5) as peer, contextlib.suppress(OSError):
                peer.sendall(each)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65536):
                    pass
    broken = connect(shield, device)
    broken.connect()
    broken.sock.sendall(GOOD[:40])
    raw = socket.socket(fileno=os.dup(broken.sock.fileno()))
    raw.shutdown(socket.SHUT_RDWR)  # in the middle of a request, without a word
    raw.close()
    broken.close()

    to = connect(shield, device)
    assert ask(to).status == 201
    to.close()
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
    for _ in range(200):
        if threading.active_count() <= before:
            break
        threading.Event().wait(0.02)
    assert threading.active_count() <= before


def test_a_large_body_of_noise_is_refused_before_it_is_read(shield: Shield, device: Pair) -> None:
    to = connect(shield, device)
    to.putrequest("POST", "/temps")
    to.putheader("Content-Length", str(5 << 20))
    to.endheaders()
    assert to.getresponse().status == http.client.REQUEST_ENTITY_TOO_LARGE
    to.close()
