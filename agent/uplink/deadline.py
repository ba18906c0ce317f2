"""One deadline for a whole request, name lookup included, and an end to it from another thread.

The timeouts of urllib3 are for each address and each read: a server that dripped a byte a second held a call
with a timeout of 1 s for as long as it liked, and getaddrinfo(3) knows no timeout at all.
"""

import queue
import socket
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

Found = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]]


class Deadline:
    """The instant (monotonic s) by which the request in flight must be over.

    `sent` says whether any of the request has left for the other end, which may then have stored it; `heard`
    whether any of an answer has come, `connected` whether it made a connection of its own.
    """

    def __init__(self) -> None:
        self.at = float("inf")
        self.sent = self.heard = self.connected = False
        self._cut = False
        self._lock = threading.Lock()
        self._on_cut: Callable[[], object] = lambda: None

    def start(self, seconds: float) -> None:
        """A request begins, and has that many seconds."""
        self.at = time.monotonic() + seconds
        self.sent = self.heard = self.connected = False

    def left(self) -> float:
        """Seconds left. Raises TimeoutError when there are none, ConnectionAbortedError after `cut`."""
        if self._cut:
            raise ConnectionAbortedError("stopping")
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took longer than uplink.timeout_seconds")
        return left

    @property
    def found_stale(self) -> bool:
        """Whether the request died early and unheard on a connection that was there before."""
        early = not self._cut and time.monotonic() < self.at
        return early and self.sent and not self.heard and not self.connected

    def cut(self) -> None:
        """End the request in flight at once, and every later one; from any thread."""
        with self._lock:
            self._cut = True
            with suppress(OSError):  # closed meanwhile, or not connected
                self._on_cut()

    def hold(self, sock: socket.socket) -> None:
        """Have `cut` shut this socket; a thread that waits on it wakes up."""
        # weak: the socket holds its context and that holds this deadline, a circle of some hundred KiB of OpenSSL's
        held = weakref.ref(sock)

        def shut() -> None:
            if (sock := held()) is not None:
                # SSLSocket's own shutdown would make later bytes leave unencrypted
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

        self._watch(shut)

    def _watch(self, on_cut: Callable[[], object]) -> None:
        with self._lock:
            self._on_cut = on_cut
        self.left()

    def connect(self, host: str, port: int) -> socket.socket:
        """A connected socket, from the first of the host's addresses that answers within its share of the time left.

        Raises OSError, of which TimeoutError and ConnectionAbortedError are two.
        """
        self.connected = True
        found = self._look_up(host, port)
        for place, (family, kind, protocol, _, address) in enumerate(found, 1):
            sock = _Socket(family, kind, protocol)
            try:
                sock.deadline = self
                self.hold(sock)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # what was written and is not acknowledged by then will not be: no late copy of a request given up
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, round(self.left() * 1000)))
                sock.settimeout(self.left() / (1 + len(found) - place))
                sock.connect(address)
                sock.settimeout(self.left())
            except OSError:
                sock.close()
                if place == len(found):
                    raise
                self.left()
            else:
                return sock
        raise OSError(f"{host} has no address")

    def _look_up(self, host: str, port: int) -> Found:
        name = host.encode("ascii")  # as urllib3 has made it; of a str Python would load the tables of IDNA, 0.4 MiB
        with suppress(socket.gaierror):
            return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        answers: queue.SimpleQueue[Found | OSError] = queue.SimpleQueue()
        self._watch(lambda: answers.put(ConnectionAbortedError("stopping")))

        def ask() -> None:
            try:
                answers.put(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
            except OSError as error:
                answers.put(error)

        threading.Thread(target=ask, name="lookup", daemon=True).start()
        try:
            answer = answers.get(timeout=self.left())
        except queue.Empty:
            raise TimeoutError(f"the name {host} was not looked up in time") from None
        if isinstance(answer, OSError):
            raise answer
        return answer


class _Socket(socket.socket):
    """Bounds every read by the deadline: that of a proxy's answer, before there is TLS."""

    deadline: Deadline

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.deadline.left())
        return super().recv_into(*args, **kwargs)
