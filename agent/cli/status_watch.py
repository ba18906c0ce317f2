"""`status --watch`: in place on a terminal; elsewhere a text for each change, one after the other, until Ctrl-C."""

import os
import select
import shutil
import sys
from collections.abc import Callable
from typing import Any, TextIO

from agent.cli.status_seen import NoStatus

CLEAR, HOME, TO_LINE_END, TO_SCREEN_END = "\x1b[2J", "\x1b[H", "\x1b[K", "\x1b[J"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


def watch(look: Callable[[], dict[str, Any]], form: Callable[[dict[str, Any]], str], *, every: float) -> str:
    """Show what `look` sees, in the given form, until Ctrl-C; gives the last state.

    A daemon that is not there yet is waited for. Raises BrokenPipeError when nobody reads any more.
    """
    out, state, written = sys.stdout, "stopped", ""
    on_terminal = out.isatty() and os.environ.get("TERM") != "dumb"
    reader = select.poll()
    reader.register(out, 0)  # tells of its end alone, poll(2)
    out.write(HIDE_CURSOR + CLEAR if on_terminal else "")
    try:
        while True:
            try:
                found = look()
            except NoStatus as error:
                text, news = f"{error}\nnext: {error.hint}\n", str(error)
            else:
                state, text = found["state"], form(found)
                news = f"{found['written']} {state}"
            if on_terminal:
                _in_place(out, text)
            elif news != written:
                out.write(text)
            written = news
            out.flush()
            if reader.poll(every * 1000):
                raise BrokenPipeError
    except KeyboardInterrupt:
        return state
    finally:
        out.write(SHOW_CURSOR + "\n" if on_terminal else "")


def _in_place(out: TextIO, text: str) -> None:
    """Over what was there before, without a moment of an empty screen; no more lines than there are."""
    lines, rows = text.splitlines(), shutil.get_terminal_size().lines - 1
    if len(lines) > rows:
        lines = [*lines[: rows - 1], f"({len(lines) - rows + 1} more lines)"]
    out.write(HOME + "".join(line + TO_LINE_END + "\n" for line in lines) + TO_SCREEN_END)
