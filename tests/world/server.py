"""A TLS server on loopback that does what a script says, and remembers what it got."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from world.identities import authority


@dataclass(frozen=True, slots=True)
class Seen:
    """One request; header names in lower case. `connection` counts from 0."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass(slots=True)
class Server:
    """`url` leads to it. `seen` are the requests, `connections` those accepted, `bytes_seen` decrypted bytes."""

    url: str = ""
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    bytes_seen: int = 0
    arrived: threading.Event = field(default_factory=threading.Event)  # a request was read, or a connection accepted
    stopped: threading.Event = field(default_factory=threading.Event)


Step = Callable[[socket.socket, Server], bool]
"""Answers one request; gives whether the connection is kept."""


def answer(status: int, body: bytes = b"", content_type: str = "application/json", **headers: str) -> Step:
    """A whole HTTP answer; `retry_after` becomes Retry-After."""
    fields = {"Content-Type": content_type, "Content-Length": str(len(body))}
    fields |= {name.replace("_", "-").title(): value for name, value in headers.items()}

    def step(sock: socket.socket, _: Server) -> bool:
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        sock.sendall(f"HTTP/1.1 {status} Word\r\n{head}\r\n".encode() + body)
        return fields.get("Connection") != "close"

    return step


def refuses_all_but(wanted: Callable[[bytes], bool]) -> Step:
    """A shield's step: 200 for a certificate (DER) that is wanted, the edge's 403 for others."""

    def step(sock: socket.socket, server: Server) -> bool:
        shown = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
        good = shown is not None and wanted(shown)
        return (answer(200, b"[]") if good else answer(403, b"client certificate required", "text/plain"))(sock, server)

    return step


def raw(data: bytes) -> Step:
    """These bytes, then the end of the connection."""

    def step(sock: socket.socket, _: Server) -> bool:
        sock.sendall(data)
        return False

    return step


def drip(data: bytes, *, every: float) -> Step:
    """A byte now and then, for as long as the other side listens."""

    def step(sock: socket.socket, server: Server) -> bool:
        for place in range(len(data)):
            sock.sendall(data[place : place + 1])
            if server.stopped.wait(every):
                break
        return False

    return step


def hang(_: socket.socket, server: Server) -> bool:
    """No answer, until the server is taken down."""
    server.stopped.wait(30)
    return False


def close(_: socket.socket, _server: Server) -> bool:
    """The end of the connection, without an answer."""
    return False


def reset(sock: socket.socket, _: Server) -> bool:
    """A TCP reset, without an answer."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


@contextlib.contextmanager
def serving(
    directory: Path,
    *script: Step,
    names: Sequence[str] = ("127.0.0.1", "localhost"),
    pair: tuple[bytes, bytes] | None = None,
    client_ca: bool = False,
    tls13: bool = True,
    before_tls: Step | None = None,
    read_request: bool = True,
) -> Iterator[Server]:
    """The server, which plays one step for each request and the last step for all that follow.

    `pair` is its (key, certificate) when the test authority's is not wanted; `client_ca` makes a certificate of
    that authority mandatory; `before_tls` is played instead of a handshake. Without `read_request` the step
    comes right after the handshake.
    """
    context = None
    if before_tls is None:
        context = _context(directory, pair or authority().issue_server(names), client_ca=client_ca, tls13=tls13)
    server = Server()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        server.url = f"https://127.0.0.1:{server.port}/temps"
        steps = list(script)
        threads: list[threading.Thread] = []

        def serve(sock: socket.socket, number: int) -> None:
            with contextlib.suppress(OSError), sock:
                if before_tls is not None:
                    server.arrived.set()
                    before_tls(sock, server)
                    return
                assert context is not None
                with context.wrap_socket(sock, server_side=True) as tls:
                    while (not read_request or _read(tls, server, number)) and steps:
                        server.arrived.set()
                        step = steps.pop(0) if len(steps) > 1 else steps[0]
                        if not step(tls, server):
                            break

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    if server.stopped.is_set():
                        sock.close()
                        return
                    threads.append(threading.Thread(target=serve, args=(sock, server.connections), daemon=True))
                    server.connections += 1
                    threads[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            server.stopped.set()
            with contextlib.suppress(OSError):
                socket.create_connection(listener.getsockname(), timeout=1).close()  # wakes `accept`
            accepting.join(5)


def _context(directory: Path, pair: tuple[bytes, bytes], *, client_ca: bool, tls13: bool) -> ssl.SSLContext:
    key, certificate = pair
    (directory / "server-key.pem").write_bytes(key)
    (directory / "server.pem").write_bytes(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem", directory / "server-key.pem")
    if not tls13:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if client_ca:
        context.load_verify_locations(authority().certificate_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _read(sock: ssl.SSLSocket, server: Server, number: int) -> bool:
    """Whether a request came; it is noted."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(65536)
        if not chunk:
            return False
        server.bytes_seen += len(chunk)
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        chunk = sock.recv(65536)
        server.bytes_seen += len(chunk)
        body += chunk
    method, path, _ = first.split(" ")
    server.seen.append(Seen(method, path, headers, body, number))
    return True
