"""What long work says of itself: on a terminal only, with what is left, and gone at its end."""

import io
from threading import Event

import pytest

from agent.cli.progress import Progress, counting_down, drain_text, draining
from agent.devshield.demo import DONE_AT, seconds_left
from agent.devshield.story import STEPS
from agent.spool import Counts


class Terminal(io.StringIO):
    """A stream that is one, or is not."""

    def __init__(self, *, terminal: bool = True) -> None:
        super().__init__()
        self.terminal = terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def isatty(self) -> bool:
        return self.terminal

    def lines(self) -> list[str]:
        """What stood there, one after the other."""
        return [line.removesuffix("\x1b[K") for line in self.getvalue().split("\r")[1:]]


class Time:
    """Passes when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def pending(count: int, *, salvage_left: int = 0) -> Counts:
    return Counts(count, held=0, set_aside=0, dropped=0, oldest=None, trouble="", salvage_left=salvage_left)


def test_draining_says_what_is_left_and_for_how_long() -> None:
    stream, time, left = Terminal(), Time(), iter(range(1000, 0, -100))
    with Progress(stream, monotonic=time.monotonic) as progress:
        wait = draining(lambda: pending(next(left)), time.wait, progress, time.monotonic)
        for _ in range(3):
            wait(10.0)
    assert stream.lines() == [
        "delivering: 1,000 left",
        "delivering: 900 left, about 90 s",
        "delivering: 800 left, about 80 s",
        "",
    ]


@pytest.mark.parametrize(
    ("counts", "seconds", "text"),
    [
        ((5, 0), None, "delivering: 5 left"),
        ((1234, 5678), 7300.0, "delivering: 1,234 left, and up to 5,678 in a damaged file, about 2 h"),
    ],
)
def test_what_is_left_in_words(counts: tuple[int, int], seconds: float | None, text: str) -> None:
    assert drain_text(*counts, seconds) == text


def test_an_eye_is_not_shown_more_than_it_sees() -> None:
    stream, time = Terminal(), Time()
    progress = Progress(stream, monotonic=time.monotonic)
    for number in range(100):
        time.wait(0.01)
        progress.show(str(number))
    assert len(stream.lines()) == 5


def test_a_line_never_wraps_and_never_speaks_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    Progress(stream).show("\x1b[2J" + "long " * 40)
    assert len(stream.lines()[0]) == 39
    assert "\x1b[2J" not in stream.getvalue()


def test_without_a_terminal_nothing_is_said_and_the_wait_is_one() -> None:
    stream, time = Terminal(terminal=False), Time()
    with Progress(stream, monotonic=time.monotonic) as progress:
        draining(lambda: pending(1000), time.wait, progress, time.monotonic)(10.0)
        wait = counting_down(progress, patience_seconds=60, monotonic=time.monotonic)
        wait(Stopped(time), 10.0, "no network")
    assert (stream.getvalue(), time.now) == ("", 20.0)


class Stopped(Event):
    """An event that time passes by waiting for."""

    def __init__(self, time: Time) -> None:
        super().__init__()
        self._time = time

    def wait(self, timeout: float | None = None) -> bool:
        self._time.wait(timeout or 0.0)
        return self.is_set()


def test_a_wait_is_counted_down_with_its_reason_and_the_end_of_patience() -> None:
    stream, time = Terminal(), Time()
    progress = Progress(stream, monotonic=time.monotonic)
    wait = counting_down(progress, patience_seconds=600, monotonic=time.monotonic)
    wait(Stopped(time), 2.5, "the issuer cannot be reached")
    assert stream.lines() == [
        "again in 3 s, gives up in 10 min: the issuer cannot be reached",
        "again in 2 s, gives up in 9 min: the issuer cannot be reached",
        "again in 1 s, gives up in 9 min: the issuer cannot be reached",
        "",
    ]


def test_a_wait_ends_with_its_event() -> None:
    time = Time()
    event = Stopped(time)
    event.set()
    counting_down(Progress(Terminal()), patience_seconds=600, monotonic=time.monotonic)(event, 60.0, "x")
    assert time.now == 0.0


@pytest.mark.parametrize(
    ("done", "gone", "left"),
    [(0, 0.0, 9.1), (2, 5.0, 8.5), (4, 2.0, 7.1), (4, 4.0, 14.2), (4, 1.0, 7.1), (9, 9.1, 0.0)],
)
def test_the_demo_estimates_by_how_fast_it_was(done: int, gone: float, left: float) -> None:
    assert seconds_left(done, gone) == pytest.approx(left)
    assert len(DONE_AT) == len(STEPS)
