"""The body of an answer as it comes in: of a known size, or in chunks (RFC 9112 §6.2, §7.1)."""

import re
import socket
from http.client import HTTPException, IncompleteRead
from typing import Final

PIECE: Final = 16 << 10  # what one TLS record holds at the most
LINE_BYTES: Final = 4096
CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?")


class Incoming:
    """`had` is what has come and was not taken yet. Raises OSError, or HTTPException of what is cut short or malformed."""

    def __init__(self, sock: socket.socket, had: bytes) -> None:
        self._sock = sock
        self.had = had

    def sized(self, size: int, most: int) -> tuple[bytes, bool]:
        """A body of `size` bytes, or the first `most` of it; and whether that was all."""
        return self._take(min(size, most)), size <= most

    def chunks(self, most: int) -> tuple[bytes, bool]:
        """A body in chunks, or the first `most` bytes of it; and whether that was all."""
        text = b""
        while size := self._chunk_size():
            if size > most - len(text):
                return text + self._take(most - len(text)), False
            text += self._take(size)
            if self._line():
                raise HTTPException("a chunk is longer than it says")
        while self._line():  # trailer fields, which nobody asked for
            pass
        return text, True

    def _chunk_size(self) -> int:
        found = CHUNK.fullmatch(self._line())
        if found is None:
            raise HTTPException("a chunk without a size")
        return int(found[1], 16)

    def _take(self, size: int) -> bytes:
        while len(self.had) < size:
            self._more(size - len(self.had))
        taken, self.had = self.had[:size], self.had[size:]
        return taken

    def _line(self) -> bytes:
        while (end := self.had.find(b"\r\n")) < 0:
            if len(self.had) > LINE_BYTES:
                raise HTTPException("a line without an end")
            self._more(2)
        line, self.had = self.had[:end], self.had[end + 2 :]
        return line

    def _more(self, missing: int) -> None:
        piece = self._sock.recv(PIECE)
        if not piece:
            raise IncompleteRead(self.had, missing)
        self.had += piece
