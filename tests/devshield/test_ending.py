"""The end of a server: what it has written down as answered is answered, and nobody is kept waiting."""

import socket
import threading
from collections.abc import Iterator

import pytest
from world.visitors import door

from agent.devshield.exchange import Outcome, Request
from agent.devshield.reply import TEXT, Reply
from agent.devshield.server import HttpServer

POST = b"POST /temps HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


class Desk:
    """An application that takes a request, says so, and answers when it is let."""

    def __init__(self) -> None:
        self.taken = threading.Event()
        self.may_answer = threading.Event()

    def __call__(self, request: Request) -> Outcome:
        self.taken.set()
        assert self.may_answer.wait(10)
        return Outcome(Reply(201, TEXT, request.body))


class Ending:
    """A server that is told to end, in a thread of its own; `idle` is a connection that sees when it has begun to."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.stop = threading.Event()
        self.server = HttpServer(("127.0.0.1", 0), door, self.desk, self.stop)
        self.server.start()
        self.idle = self.client()
        self._thread = threading.Thread(target=self.server.close)

    def client(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=10)

    def begin(self) -> None:
        """Returns when the open connections have been told."""
        self.stop.set()
        self._thread.start()
        assert self.idle.recv(1) == b""

    def finish(self) -> None:
        self.desk.may_answer.set()
        self.idle.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def ending() -> Iterator[Ending]:
    made = Ending()
    made.idle.sendall(POST)  # its thread has surely begun when this is answered
    made.desk.may_answer.set()
    assert made.idle.recv(65536).startswith(b"HTTP/1.1 201 ")
    made.desk.may_answer.clear()
    made.desk.taken.clear()
    yield made
    made.finish()


def all_of(peer: socket.socket) -> bytes:
    return b"".join(iter(lambda: peer.recv(65536), b""))


def test_a_request_that_was_taken_is_answered_and_the_connection_is_not_kept(ending: Ending) -> None:
    with ending.client() as peer:
        peer.sendall(POST)
        assert ending.desk.taken.wait(10)
        ending.begin()
        ending.desk.may_answer.set()
        got = all_of(peer)
    assert got.startswith(b"HTTP/1.1 201 ")
    assert b"\r\nConnection: close\r\n" in got


def test_a_request_torn_by_the_end_gets_no_answer_that_blames_it(ending: Ending) -> None:
    with ending.client() as peer:
        peer.sendall(POST)
        assert ending.desk.taken.wait(10)
        ending.desk.may_answer.set()
        assert peer.recv(65536).startswith(b"HTTP/1.1 201 ")
        peer.sendall(POST[:-1])
        ending.begin()
        assert all_of(peer) == b""


def test_a_client_that_takes_no_answer_does_not_hold_up_the_end(ending: Ending) -> None:
    large = b"POST /temps HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n" + b" " * 4_000_000
    with ending.client() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.sendall(large)
        assert ending.desk.taken.wait(10)
        ending.begin()
        ending.finish()
