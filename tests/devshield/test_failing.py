"""A server that fails itself says so: to its log, and to the client, which must not take it for the network."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from world.visitors import door

from agent.devshield.exchange import Outcome, Request
from agent.devshield.server import HttpServer

GET = b"GET /temps HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
Serve = Callable[[Exception], HttpServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server whose application raises what is given."""
    stop, servers = threading.Event(), list[HttpServer]()

    def made(error: Exception) -> HttpServer:
        def application(_: Request) -> Outcome:
            raise error

        servers.append(HttpServer(("127.0.0.1", 0), door, application, stop))
        servers[-1].start()
        return servers[-1]

    yield made
    stop.set()
    for server in servers:
        server.close()


def answer(server: HttpServer) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as peer:
        peer.sendall(GET)
        return b"".join(iter(lambda: peer.recv(65536), b""))


@pytest.mark.parametrize(
    ("error", "traced"), [(PermissionError(13, "Permission denied", "/x/tokens/1.json"), False), (KeyError("x"), True)]
)
def test_a_failing_application_is_a_500_and_a_line_in_the_log(
    serve: Serve, caplog: pytest.LogCaptureFixture, error: Exception, traced: bool
) -> None:
    got = answer(serve(error))

    assert got.startswith(b"HTTP/1.1 500 ")
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (str(error) in record.__dict__["REASON"], record.exc_info is not None) == (True, traced)


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (ConnectionResetError(), logging.DEBUG),
        (BlockingIOError(), logging.DEBUG),
        (OSError(107, "Transport endpoint is not connected"), logging.DEBUG),
        (OSError(24, "Too many open files"), logging.ERROR),
        (PermissionError(13, "Permission denied"), logging.ERROR),
    ],
)
def test_only_a_connection_that_ended_is_no_news(
    serve: Serve, caplog: pytest.LogCaptureFixture, error: OSError, level: int
) -> None:
    caplog.set_level(logging.DEBUG, "agent.devshield.server")
    try:
        raise error
    except OSError:
        serve(error).handle_error(None, ("127.0.0.1", 1))

    assert [record.levelno for record in caplog.records] == [level]
