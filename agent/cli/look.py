"""What a terminal can show: its width, its letters, its colours; and text brought down to that.

Text on a screen may come from a server's answer: control characters never reach the terminal.
"""

import os
from collections.abc import Mapping
from typing import Final, TextIO

from agent.record import dataclass

NARROWEST, WIDEST = 32, 100
PAINTS: Final = {"red": "31", "yellow": "33", "green": "32", "dim": "2", "bold": "1"}
# what stands for the letters that a terminal without UTF-8 has not
SPELLED: Final = {"°C": "C", "—": "-", "–": "-", "…": "...", "✓": "ok", "✗": "no"}
SPARKS: Final = "▁▂▃▄▅▆▇█"
ASCII_SPARKS: Final = "_.-~=+*#"


@dataclass(frozen=True, slots=True)
class Look:
    """`columns` to write in; `unicode` and `colour` say whether those may be used."""

    columns: int = 80
    unicode: bool = True
    colour: bool = False

    def paint(self, name: str, text: str) -> str:
        """The text in that paint, if there are paints."""
        return f"\x1b[{PAINTS[name]}m{text}\x1b[0m" if self.colour and name else text

    def clean(self, text: str) -> str:
        """The text without control characters, in letters that the terminal has."""
        shown = "".join(letter if letter.isprintable() else " " for letter in text)
        if self.unicode:
            return shown
        for letter, spelled in SPELLED.items():
            shown = shown.replace(letter, spelled)
        return shown.encode("ascii", "replace").decode("ascii")

    @property
    def sparks(self) -> str:
        """Eight heights, lowest first."""
        return SPARKS if self.unicode else ASCII_SPARKS


def look_of(stream: TextIO, environ: Mapping[str, str]) -> Look:
    """What that stream can show; colour on a terminal only, and not when somebody said no (NO_COLOR, TERM=dumb)."""
    on_terminal = stream.isatty()
    try:
        (SPARKS + "".join(SPELLED)).encode(stream.encoding or "ascii")
    except (UnicodeError, LookupError):
        unicode = False
    else:
        unicode = environ.get("LC_ALL") not in {"C", "POSIX"}  # which Python would take for UTF-8 (PEP 540)
    colour = on_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    columns = max(NARROWEST, min(WIDEST, columns_of(stream, environ)))
    return Look(columns, unicode=unicode, colour=colour)


def columns_of(stream: TextIO, environ: Mapping[str, str]) -> int:
    """As COLUMNS says, else the terminal; 80 where there is none. Not by shutil, which costs 10 ms to import."""
    said = environ.get("COLUMNS", "")
    if said.isdecimal() and int(said):
        return int(said)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def look_here(stream: TextIO) -> Look:
    """The same for this process's environment."""
    return look_of(stream, os.environ)
