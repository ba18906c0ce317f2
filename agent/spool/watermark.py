"""How far delivery has come, in 20 bytes outside of the database.

Acknowledgements ride on the next tick's commit, because a commit of their own would cost the card 8.8 KB each.
This file, on the runtime directory's tmpfs, makes each one survive a killed process meanwhile: without it a
`kill -9` in the middle of a drain would send everything since the last tick again. A power cut empties it, and
then at most one tick is sent twice. It belongs to one spool by its id; next_seq starts above it, so that a
spool made anew never has its first readings taken for acknowledged ones.
"""

import logging
import os
import struct
import zlib
from pathlib import Path
from typing import Final

from agent.spool.blank import new_file

log = logging.getLogger(__name__)

_FORM: Final = struct.Struct("<QqI")  # spool id, the floor of what has left, CRC-32 of the two


class Watermark:
    """`seq` is the highest number up to which everything has left the spool; 0 when nothing is known."""

    def __init__(self, path: Path | None, spool_id: int) -> None:
        self._spool_id = spool_id
        self._fd: int | None = None
        self.seq = 0
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                self._fd = new_file(path)
            self.seq = self._read(os.pread(self._fd, _FORM.size, 0))
        except OSError as error:
            log.warning(
                "watermark unusable: a killed daemon may send its last tick again",
                extra={"FILE": str(path), "ERROR": str(error)},
            )

    def _read(self, raw: bytes) -> int:
        if len(raw) != _FORM.size:
            return 0
        spool_id, seq, crc = _FORM.unpack(raw)
        return int(seq) if spool_id == self._spool_id and crc == zlib.crc32(raw[:16]) else 0

    def write(self, seq: int) -> None:
        """Remember `seq`; not synced, on purpose."""
        if self._fd is None or seq == self.seq:
            return
        self.seq = seq
        head = _FORM.pack(self._spool_id, seq, 0)[:16]
        try:
            os.pwrite(self._fd, head + struct.pack("<I", zlib.crc32(head)), 0)
        except OSError:  # a full tmpfs: the next tick's commit has it all the same
            os.close(self._fd)
            self._fd = None

    def close(self) -> None:
        """Let go of the file; it stays, and agrees with what was committed."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
