"""How long a POST can take at the very most, wherever it hangs, and that it can be cut short from outside."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from world.identities import authority
from world.server import Step, answer, drip, hang, serving

from agent.delivery import Answer, Verdict
from agent.uplink import Target, Uplink
from agent.uplink.deadline import Deadline
from agent.uplink.tls import tls_context

BODY = b'{"temperature": "21.437", "time": "2026-11-22T12:00:00Z"}'
SECONDS = 0.6
SYN_SENT = "02"  # net/tcp_states.h


def uplink(url: str, *, seconds: float = SECONDS, proxy: str = "") -> Uplink:
    return Uplink(Target(url, str(authority().certificate_file), seconds, proxy=proxy), None)


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """A URL whose connection attempts are never answered: its listener's queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/temps"


def attempts(url: str) -> int:
    """How many connections to it are asked for and not there yet, by the kernel's table."""
    to = f":{urlsplit(url).port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(to) and row[3] == SYN_SENT for row in rows)


def until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not happens():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def timed(line: Uplink) -> tuple[Answer, float]:
    begun = time.monotonic()
    got = line.post(BODY, key="k")
    took = time.monotonic() - begun
    line.close()
    return got, took


SLOW: dict[str, tuple[Step, bool]] = {
    "no answer": (hang, True),
    "a status line by the byte": (drip(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n" * 9, every=0.1), True),
    "endless headers": (drip(b"HTTP/1.1 201 Created\r\n" + b"X: y\r\n" * 99, every=0.05), True),
    "endless interim answers": (drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 99, every=0.02), True),
    "a body by the byte": (drip(b"HTTP/1.1 500 Error\r\nContent-Length: 900\r\n\r\n" + b"x" * 900, every=0.02), True),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_answer_ends_at_the_deadline(tmp_path: Path, name: str) -> None:
    step, ambiguous = SLOW[name]
    with serving(tmp_path, step) as server:
        got, took = timed(uplink(server.url))
    assert (got.verdict, got.ambiguous) == (Verdict.RETRY, ambiguous)
    assert SECONDS * 0.9 < took < SECONDS + 0.5


def test_a_stored_reading_is_stored_although_the_rest_of_the_answer_never_comes(tmp_path: Path) -> None:
    with serving(
        tmp_path, drip(b"HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n" + b"x" * 900, every=0.002)
    ) as server:
        got, took = timed(uplink(server.url))
    assert got.verdict is Verdict.ACK
    assert took < SECONDS + 0.5


def test_a_handshake_that_hangs_ends_at_the_deadline(tmp_path: Path) -> None:
    with serving(tmp_path, before_tls=hang) as server:
        got, took = timed(uplink(server.url))
    assert (got.verdict, got.ambiguous) == (Verdict.RETRY, False)
    assert SECONDS * 0.9 < took < SECONDS + 0.5


def test_a_connection_that_is_never_answered_ends_at_the_deadline() -> None:
    with black_hole() as url:
        got, took = timed(uplink(url))
    assert (got.verdict, got.ambiguous) == (Verdict.RETRY, False)
    assert SECONDS * 0.9 < took < SECONDS + 0.5


def test_a_body_that_nobody_reads_ends_at_the_deadline(tmp_path: Path) -> None:
    with serving(tmp_path, hang, read_request=False) as server:
        line = uplink(server.url)
        begun = time.monotonic()
        got = line.post(b"x" * 20_000_000, key="k")
        took = time.monotonic() - begun
        line.close()
    assert (got.verdict, got.ambiguous) == (Verdict.RETRY, True)
    assert SECONDS * 0.9 < took < SECONDS + 0.5


def test_a_proxy_that_hangs_ends_at_the_deadline(tmp_path: Path) -> None:
    slow = drip(b"HTTP/1.1 200 Connection established\r\n" + b"X: y\r\n" * 99, every=0.05)
    with serving(tmp_path, before_tls=slow) as proxy:
        got, took = timed(uplink("https://shield.example.com/temps", proxy=f"http://127.0.0.1:{proxy.port}"))
    assert (got.verdict, got.ambiguous) == (Verdict.RETRY, False)
    assert SECONDS * 0.9 < took < SECONDS + 0.5


def test_after_a_timeout_the_next_reading_gets_its_whole_time(tmp_path: Path) -> None:
    with serving(tmp_path, hang, answer(201)) as server:
        line = uplink(server.url)
        verdicts = [line.post(BODY, key="k").verdict for _ in range(2)]
        line.close()
    assert verdicts == [Verdict.RETRY, Verdict.ACK]


def cut(line: Uplink, when: Callable[[], object]) -> tuple[Answer, float]:
    """The answer of a POST that is aborted from here once `when` returns, and how long that then took."""
    got: list[Answer] = []
    posting = threading.Thread(target=lambda: got.append(line.post(BODY, key="k")))
    posting.start()
    when()
    begun = time.monotonic()
    line.abort()
    posting.join(5)
    took = time.monotonic() - begun
    line.close()
    return got[0], took


@pytest.mark.parametrize("step", [hang, drip(b"HTTP/1.1 201 Created\r\n\r\n", every=0.3)], ids=["hangs", "drips"])
def test_a_post_in_flight_can_be_cut_short(tmp_path: Path, step: Step) -> None:
    with serving(tmp_path, step) as server:
        got, took = cut(uplink(server.url, seconds=20), server.arrived.wait)
    assert (got.verdict, got.ambiguous) == (Verdict.RETRY, True)
    assert took < 0.5


def test_a_handshake_can_be_cut_short(tmp_path: Path) -> None:
    with serving(tmp_path, before_tls=hang) as server:
        got, took = cut(uplink(server.url, seconds=20), server.arrived.wait)
    assert (got.verdict, got.ambiguous) == (Verdict.RETRY, False)
    assert took < 0.5


def test_a_connection_attempt_can_be_cut_short() -> None:
    with black_hole() as url:
        before = attempts(url)
        got, took = cut(uplink(url, seconds=20), lambda: until(lambda: attempts(url) > before))
    assert (got.verdict, got.ambiguous) == (Verdict.RETRY, False)
    assert took < 0.5


def test_after_an_abort_nothing_is_sent_any_more(tmp_path: Path) -> None:
    with serving(tmp_path, answer(201)) as server:
        line = uplink(server.url)
        line.post(BODY, key="k")
        line.abort()
        got = line.post(BODY, key="k")
        line.close()
    assert (got.verdict, got.ambiguous) == (Verdict.RETRY, False)
    assert len(server.seen) == 1


def test_an_abort_at_any_moment_ends_the_post(tmp_path: Path) -> None:
    with serving(tmp_path, hang) as server:
        for step in range(40):
            got, took = cut(uplink(server.url, seconds=20), lambda pause=step * 0.0004: threading.Event().wait(pause))  # type: ignore[misc]
            assert got.verdict is Verdict.RETRY
            assert took < 0.5


def test_a_connection_lost_before_the_handshake_is_closed_and_nothing_leaves_in_the_clear() -> None:
    context = tls_context(str(authority().certificate_file), Deadline(), "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        with pytest.raises(ConnectionResetError, match="before the TLS handshake"):
            context.wrap_socket(sock)
