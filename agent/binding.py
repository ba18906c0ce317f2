"""Which board a certificate was made for: hashes of three ids, and what it means when they differ later.

Pure. The line stands before the certificate in its own file, where every PEM reader skips it: so it travels with
the certificate, in one rename, also to a daemon that may not look into the store.
"""

import re
from enum import StrEnum
from typing import Final

from agent.record import astuple, dataclass

_LINE: Final = re.compile(
    rb"^sensor-agent board: serial=([0-9a-f]*) card=([0-9a-f]*) machine=([0-9a-f]*)$", re.MULTILINE
)
_WORDS: Final = ("serial number", "SD card", "machine id")


class Match(StrEnum):
    """How the board at hand compares with the one that a certificate was made for."""

    SAME = "same"
    MOVED = "moved"
    CLONED = "cloned"


@dataclass(frozen=True, slots=True)
class Board:
    """Hashes of the board's serial number, its SD card's id and its machine id; empty for what it does not have."""

    serial: str = ""
    card: str = ""
    machine: str = ""

    def line(self) -> bytes:
        """As it stands in a certificate's file."""
        return f"sensor-agent board: serial={self.serial} card={self.card} machine={self.machine}\n".encode()


UNKNOWN: Final = Board()  # compared with it, every board is the same


def bound_to(certificate_text: bytes) -> Board | None:
    """The board that a certificate's file names; None if it names none, as one made by somebody else."""
    found = _LINE.search(certificate_text)
    return Board(*(group.decode("ascii") for group in found.groups())) if found else None


def compare(bound: Board | None, here: Board) -> Match:
    """Whether the board at hand is the one of the certificate.

    A copied card brings its machine id along, so the hardware decides: where serial number and card are both
    known and both others, or nothing at all is the same, this is a copy. Anything less is a card in another
    board, a new card in the same board, or a machine id made anew. What is not known on one side says nothing.
    """
    if bound is None:
        return Match.SAME
    known = [(was, now) for was, now in zip(astuple(bound), astuple(here), strict=True) if was and now]
    same = [was == now for was, now in known]
    if all(same):
        return Match.SAME
    hardware = [was == now for was, now in ((bound.serial, here.serial), (bound.card, here.card)) if was and now]
    if not any(same) or (len(hardware) == 2 and not any(hardware)):
        return Match.CLONED
    return Match.MOVED


def differences(bound: Board | None, here: Board) -> str:
    """What differs, in words: `serial number, SD card`."""
    if bound is None:
        return ""
    parts = zip(_WORDS, astuple(bound), astuple(here), strict=True)
    return ", ".join(word for word, was, now in parts if was and now and was != now)
