"""A network block device: the server's side of NBD, for one disk and one client at a time, on a socket file.

Fixed newstyle handshake and simple replies, after the protocol's own description (NetworkBlockDevice/nbd, doc/proto.md).
Requests are carried out one after the other, so a flush covers every write that was answered before it came.
"""

import socket
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vm.disk import Disk
from vm.usbip import exactly

OPTION_MAGIC, REPLY_MAGIC = 0x49484156454F5054, 0x0003E889045565A9
REQUEST_MAGIC, ANSWER_MAGIC = 0x25609513, 0x67446698
FIXED_NEWSTYLE, NO_ZEROES = 1, 2
ABORT, INFO, GO = 2, 6, 7
ACKNOWLEDGE, INFORM, UNSUPPORTED = 1, 3, 0x8000_0001
HAS_FLAGS, CAN_FLUSH = 1, 4
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3
EINVAL: Final = 22


def option_reply(option: int, kind: int, data: bytes = b"") -> bytes:
    """One reply of the handshake."""
    return struct.pack(">QIII", REPLY_MAGIC, option, kind, len(data)) + data


def export(size: int) -> bytes:
    """NBD_INFO_EXPORT: a disk that can flush, and has no FUA, so that its client flushes instead."""
    return struct.pack(">HQH", 0, size, HAS_FLAGS | CAN_FLUSH)


@dataclass(slots=True)
class DiskServer:
    """Serves the disk from its making to `close`. `lock` is held for each request; take it to cut.

    The power fails when so many writes as `fails_at` have come since a flush: from then on nothing is answered, and
    `failed` is set.
    """

    disk: Disk
    file: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    fails_at: int = 0
    failed: threading.Event = field(default_factory=threading.Event)
    _listener: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.file))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no new client."""
        self._listener.close()
        self.file.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            with connection:
                try:
                    if self._shake_hands(connection):
                        self._serve(connection)
                except (EOFError, OSError):
                    continue  # the client was killed: a power cut

    def _shake_hands(self, connection: socket.socket) -> bool:
        """Whether the client goes on to use the disk."""
        connection.sendall(b"NBDMAGIC" + struct.pack(">QH", OPTION_MAGIC, FIXED_NEWSTYLE | NO_ZEROES))
        exactly(connection, 4)
        while True:
            _, option, length = struct.unpack(">QII", exactly(connection, 16))
            exactly(connection, length)
            if option in {INFO, GO}:
                connection.sendall(option_reply(option, INFORM, export(self.disk.size)))
                connection.sendall(option_reply(option, ACKNOWLEDGE))
                if option == GO:
                    return True
            elif option == ABORT:
                connection.sendall(option_reply(option, ACKNOWLEDGE))
                return False
            else:
                connection.sendall(option_reply(option, UNSUPPORTED))

    def _serve(self, connection: socket.socket) -> None:
        while True:
            _, _, kind, handle, offset, length = struct.unpack(">IHHQQI", exactly(connection, 28))
            data = exactly(connection, length) if kind == WRITE else b""
            error, answer = 0, b""
            with self.lock:
                if kind == READ:
                    answer = self.disk.read(offset, length)
                elif kind == WRITE:
                    self.disk.write(offset, data)
                elif kind == FLUSH:
                    if not self.failed.is_set():
                        self.disk.flush()
                elif kind == DISCONNECT:
                    return
                else:
                    error = EINVAL
                if self.fails_at and len(self.disk.pending) >= self.fails_at:
                    self.failed.set()
            if not self.failed.is_set():
                connection.sendall(struct.pack(">IIQ", ANSWER_MAGIC, error, handle) + answer)
