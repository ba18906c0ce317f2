"""What long work has left, in one line that is written over: on a terminal only, and gone when the work is.

A log or a pipe gets nothing of it.
"""

import os
import sys
import time
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING, Final, Self, TextIO

from agent.backlog import Backlog
from agent.cli.durations import spell
from agent.cli.look import look_here

if TYPE_CHECKING:
    from agent.spool import Counts

EVERY_SECONDS: Final = 0.2  # often enough for an eye, and seldom enough for a serial line


class Progress:
    """A line on that stream, stderr by default; `on` if somebody can see it. `monotonic` says when the last one was."""

    def __init__(self, stream: TextIO | None = None, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self.on = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._monotonic, self._at = monotonic, -EVERY_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, text: str) -> None:
        """Say it in place of what was said before, unless that was a moment ago."""
        now = self._monotonic()
        if self.on and now - self._at >= EVERY_SECONDS:
            look = look_here(self._stream)
            self._at = now
            self._write(look.clean(text)[: look.columns - 1])

    def clear(self) -> None:
        """Leave the line as it was before."""
        if self.on:
            self._at = -EVERY_SECONDS
            self._write("")

    def _write(self, text: str) -> None:
        self._stream.write(f"\r{text}\x1b[K")
        self._stream.flush()


def draining(
    counts: "Callable[[], Counts]", wait: Callable[[float], object], progress: Progress, monotonic: Callable[[], float]
) -> Callable[[float], object]:
    """A wait that first says what is left by the spool's counts, and for how long that will take."""
    backlog = Backlog()

    def wait_and_tell(seconds: float) -> object:
        nonlocal backlog
        left = counts()
        backlog = backlog.after(left.pending + left.salvage_left, monotonic())
        progress.show(drain_text(left.pending, left.salvage_left, backlog.seconds_left))
        return wait(seconds)

    return wait_and_tell


def counting_down(
    progress: Progress, *, patience_seconds: float, monotonic: Callable[[], float] = time.monotonic
) -> Callable[[Event, float, str], None]:
    """A wait that says why, and how long it and the patience will last; ends early with the event."""
    gives_up = monotonic() + patience_seconds

    def wait(event: Event, seconds: float, reason: str) -> None:
        ends = monotonic() + seconds
        while (left := ends - monotonic()) > 0 and not event.is_set():
            progress.show(f"again in {spell(left + 1)}, gives up in {spell(gives_up - monotonic())}: {reason}")
            event.wait(min(left, 1.0) if progress.on else left)
        progress.clear()

    return wait


def drain_text(pending: int, damaged: int, seconds_left: float | None) -> str:
    """What is left, in words."""
    words = f"delivering: {pending:,} left"
    if damaged:
        words += f", and up to {damaged:,} in a damaged file"
    return words + (f", about {spell(seconds_left)}" if seconds_left is not None else "")
