"""A TCP proxy that spoils connections as told: at a byte of one direction something happens to the network.

It knows nothing of TLS or HTTP, so what it does is what a network can do to them.
"""

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

Side = Literal["up", "down"]
ALERT: Final = b"\x15\x03\x03\x00\x02\x02\x50"  # fatal, internal_error (RFC 8446 §6), unencrypted
KINDS: Final = ("reset", "close", "stall", "half-open", "alert", "garbage", "drip")
EXCHANGE_BYTES: Final = 6000  # a handshake and about five POSTs, in the direction that carries less


@dataclass(frozen=True, slots=True)
class Fault:
    """Happens once `at` bytes have gone in the direction `side` of a connection (`up` is to the shield).

    reset: RST to both ends. close: FIN to both. stall: nothing goes through any more. half-open: the same, and the
    shield's end is closed. alert, garbage: those bytes to the agent, then FIN. drip: a byte every 20 ms.
    """

    kind: str
    side: Side = "down"
    at: int = 0


def any_fault(draw: random.Random) -> Fault:
    """A fault somewhere in the life of a connection; those that cost a timeout are rarer."""
    kind = draw.choices(KINDS, weights=(8, 6, 1, 1, 2, 2, 1))[0]
    return Fault(kind, draw.choice(("up", "down")), draw.randrange(EXCHANGE_BYTES))


@dataclass(slots=True)
class Proxy:
    """`port` leads to it; `up` and `down` are what was sent to the shield and came back, connection by connection.

    `next_fault` is asked at each new connection; `happened` counts the faults that came to pass.
    """

    port: int
    next_fault: Callable[[], Fault | None]
    up: list[bytearray] = field(default_factory=list)
    down: list[bytearray] = field(default_factory=list)
    happened: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)


class _Link:
    """One connection: two ends, two directions, at most one fault."""

    def __init__(self, proxy: Proxy, agent: socket.socket, shield: socket.socket) -> None:
        self.proxy, self.fault = proxy, proxy.next_fault()
        self.ends: dict[Side, tuple[socket.socket, socket.socket]] = {"up": (agent, shield), "down": (shield, agent)}
        self.seen: dict[Side, bytearray] = {"up": bytearray(), "down": bytearray()}
        self.spoiled = False
        proxy.up.append(self.seen["up"])
        proxy.down.append(self.seen["down"])

    def pump(self, side: Side) -> None:
        source, sink = self.ends[side]
        fault = self.fault
        left = fault.at if fault is not None and fault.side == side else -1
        with contextlib.suppress(OSError):
            while not self.spoiled:
                if left == 0:
                    self.happen(source, sink)
                    return
                data = source.recv(left if left > 0 else 65536)
                if self.spoiled or not data:
                    break
                self.seen[side] += data
                sink.sendall(data)
                left -= len(data) if left > 0 else 0
        if not self.spoiled:
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

    def happen(self, source: socket.socket, sink: socket.socket) -> None:
        """The fault comes to pass; the connection is of no use afterwards."""
        assert self.fault is not None
        self.proxy.happened += 1
        agent, shield = self.ends["up"]
        if self.fault.kind == "drip":
            while (byte := source.recv(1)) and not self.proxy.stopped.wait(0.02):
                sink.sendall(byte)
            return
        self.spoiled = True
        match self.fault.kind:
            case "reset":
                for end in (agent, shield):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RD)  # wakes the other direction, and sends nothing; the close then resets
                return
            case "stall" | "half-open":
                if self.fault.kind == "half-open":
                    shield.shutdown(socket.SHUT_RDWR)
                agent.settimeout(5.0)
                with contextlib.suppress(OSError):
                    while agent.recv(65536):  # until the agent gives up
                        pass
            case "alert":
                agent.sendall(ALERT)
            case "garbage":
                agent.sendall(b"\x00SSH-2.0-OpenSSH_9.2\r\n" * 3)
            case _:
                pass
        for end in (agent, shield):
            end.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        agent, shield = self.ends["up"]
        with agent, shield:
            back = threading.Thread(target=self.pump, args=("down",), daemon=True)
            back.start()
            self.pump("up")
            back.join()


@contextlib.contextmanager
def proxied(shield_port: int, next_fault: Callable[[], Fault | None] = lambda: None) -> Iterator[Proxy]:
    """A proxy before that port of this machine."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        proxy = Proxy(listener.getsockname()[1], next_fault)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    agent, _ = listener.accept()
                    if proxy.stopped.is_set():
                        agent.close()
                        return
                    try:
                        shield = socket.create_connection(("127.0.0.1", shield_port), timeout=5)
                        shield.settimeout(None)
                    except OSError:
                        agent.close()
                        continue
                    for end in (agent, shield):
                        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=_Link(proxy, agent, shield).run, daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield proxy
        finally:
            proxy.stopped.set()
            with contextlib.suppress(OSError):
                socket.create_connection(listener.getsockname(), timeout=1).close()  # wakes `accept`
            accepting.join(5)


def records(stream: bytes | bytearray) -> list[int]:
    """The content types of the TLS records in what was sent; 23 is application data (RFC 8446 §5.1)."""
    found, place = [], 0
    while place + 5 <= len(stream):
        found.append(stream[place])
        place += 5 + int.from_bytes(stream[place + 3 : place + 5], "big")
    return found
