"""The header of the spool's file, which says whose it is; from the WAL if a power cut has destroyed it in the file.

The first block is rewritten at every checkpoint. A card that erases before it writes may lose it half-way, and
SQLite then takes it from the WAL: so must whoever looks before SQLite may.
"""

from pathlib import Path
from typing import Final

HEADER: Final = 100  # bytes, https://www.sqlite.org/fileformat2.html#the_database_header
_WAL_HEADER, _FRAME_HEADER = 32, 24  # bytes, https://www.sqlite.org/fileformat2.html#walformat
_FIRST_PAGE: Final = (1).to_bytes(4, "big")


def read_header(path: Path, *, application_id: int) -> bytes:
    """The first 100 bytes of the database at `path`, or fewer; raises OSError if they cannot be read."""
    with path.open("rb") as file:
        header = file.read(HEADER)
    if not has_mark(header, application_id):
        return _in_wal(Path(f"{path}-wal"), application_id) or header
    return header


def has_mark(header: bytes, application_id: int) -> bool:
    """Whether it is the header of a database of that application."""
    return header[:16] == b"SQLite format 3\0" and header[68:72] == application_id.to_bytes(4, "big")


def _in_wal(wal_file: Path, application_id: int) -> bytes:
    """The header in a frame of this WAL's present use; frames of an earlier one have another salt."""
    try:
        wal = wal_file.read_bytes()
    except OSError:
        return b""
    page = int.from_bytes(wal[8:12], "big")
    if page < 512:
        return b""
    for place in range(_WAL_HEADER, len(wal), _FRAME_HEADER + page):
        first = wal[place + _FRAME_HEADER : place + _FRAME_HEADER + HEADER]
        mine = wal[place : place + 4] == _FIRST_PAGE and wal[place + 8 : place + 16] == wal[16:24]
        if mine and has_mark(first, application_id):
            return first
    return b""
