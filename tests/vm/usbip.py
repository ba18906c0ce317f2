"""USB/IP as `vhci-hcd` speaks it: frames of control transfers, and a server that lends one device to one kernel at a time.

Pure but for the server; layouts and codes are those of the kernel's Documentation/usb/usbip_protocol.rst.
"""

import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Final, Protocol

VERSION: Final = 0x0111
REQUEST_IMPORT, REPLY_IMPORT = 0x8003, 0x0003
BUS_ID: Final = b"1-1"
BUS_NUMBER, DEVICE_NUMBER, FULL_SPEED = 1, 2, 2
SUBMIT, UNLINK, SUBMITTED, UNLINKED = 1, 2, 3, 4
DIRECTION_IN: Final = 1
HEADER_BYTES: Final = 48
ECONNRESET: Final = 104


class Device(Protocol):
    """What is lent: answers control transfers."""

    vendor: int
    product: int

    def control(self, setup: bytes, data: bytes) -> bytes | int:
        """What an IN transfer gives, empty after an OUT; or a negative errno."""
        ...


@dataclass(frozen=True, slots=True)
class Transfer:
    """One CMD_SUBMIT; `length` is of the buffer, which follows on the wire when it goes out."""

    number: int
    inward: bool
    endpoint: int
    length: int
    setup: bytes


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """One CMD_UNLINK: `victim` is the number of a transfer that nobody waits for any more."""

    number: int
    victim: int


def parse(header: bytes) -> Transfer | Withdrawal:
    """The command of a 48-byte header. Raises ValueError for any other."""
    command, number, _device, direction, endpoint = struct.unpack_from(">5I", header)
    if command == UNLINK:
        return Withdrawal(number, struct.unpack_from(">I", header, 20)[0])
    if command == SUBMIT:
        length = struct.unpack_from(">i", header, 24)[0]
        return Transfer(number, direction == DIRECTION_IN, endpoint, length, header[40:48])
    raise ValueError(f"neither CMD_SUBMIT nor CMD_UNLINK (got {command})")


def submitted(transfer: Transfer, answer: bytes | int) -> bytes:
    """RET_SUBMIT, with the data of an IN transfer; a negative errno is its status."""
    status, data = (answer, b"") if isinstance(answer, int) else (0, answer)
    data = data[: transfer.length] if transfer.inward else b""
    actual = len(data) if transfer.inward or status else transfer.length
    head = struct.pack(">5I5i8x", SUBMITTED, transfer.number, 0, 0, 0, status, actual, 0, 0, 0)
    return head + data


def unlinked(withdrawal: Withdrawal, *, held: bool) -> bytes:
    """RET_UNLINK: -ECONNRESET if the transfer had not been answered yet."""
    return struct.pack(">5Ii24x", UNLINKED, withdrawal.number, 0, 0, 0, -ECONNRESET if held else 0)


def imported(device: Device) -> bytes:
    """REP_IMPORT with the device's description."""
    head = struct.pack(">HHI", VERSION, REPLY_IMPORT, 0)
    names = b"/sys/devices/played".ljust(256, b"\0") + BUS_ID.ljust(32, b"\0")
    place = struct.pack(">3I3H", BUS_NUMBER, DEVICE_NUMBER, FULL_SPEED, device.vendor, device.product, 0x0100)
    return head + names + place + bytes((0xFF, 0, 0, 1, 1, 1))


@dataclass(slots=True)
class Server:
    """Lends the device on a loopback port of its own from its making to `close`. `stalled` leaves transfers unanswered."""

    device: Device
    stalled: threading.Event = field(default_factory=threading.Event)
    _listener: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._lend, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        """Take no new kernel; one that has the device loses it when the process ends."""
        self._listener.close()

    def _lend(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    self._serve(connection)
                except (EOFError, OSError):
                    continue  # the guest's power was cut

    def _serve(self, connection: socket.socket) -> None:
        request = exactly(connection, 8 + 32)
        if struct.unpack_from(">HH", request) != (VERSION, REQUEST_IMPORT):
            raise EOFError(f"not a REQ_IMPORT (got {request[:8].hex(' ')})")
        connection.sendall(imported(self.device))
        held: set[int] = set()
        while True:
            command = parse(exactly(connection, HEADER_BYTES))
            match command:
                case Withdrawal():
                    connection.sendall(unlinked(command, held=command.victim in held))
                    held.discard(command.victim)
                case Transfer():
                    data = b"" if command.inward else exactly(connection, command.length)
                    if self.stalled.is_set() or command.endpoint:
                        held.add(command.number)
                    else:
                        connection.sendall(submitted(command, self.device.control(command.setup, data)))


def exactly(connection: socket.socket, count: int) -> bytes:
    """So many bytes; raises EOFError if the other side ends before."""
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            raise EOFError("the connection has ended")
        parts += part
    return bytes(parts)
