"""The watchdog is petted only while every thread goes on."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from agent.service import SLACK_SECONDS, Part, progressing

MINUTE = 60.0


@pytest.fixture
def start() -> Iterator[Callable[[Callable[[Part], None]], Part]]:
    """Start a thread that says one thing and then stays, as one that is stuck does."""
    release = threading.Event()
    started: list[Part] = []

    def begin(says: Callable[[Part], None]) -> Part:
        said = threading.Event()

        def loop(part: Part) -> None:
            says(part)
            said.set()
            release.wait()

        part = Part("test", loop)
        part.start()
        assert said.wait(5)
        started.append(part)
        return part

    yield begin
    release.set()
    for part in started:
        part.join()


def test_a_thread_that_works_longer_than_it_said_is_stuck(start: Callable[[Callable[[Part], None]], Part]) -> None:
    part = start(lambda part: part.work(MINUTE))
    now = time.monotonic()
    assert progressing([part], now + MINUTE)
    assert not progressing([part], now + MINUTE + SLACK_SECONDS + 1)


def test_a_thread_that_waits_for_its_next_tick_is_not_stuck_before_it(
    start: Callable[[Callable[[Part], None]], Part],
) -> None:
    def rests(part: Part) -> None:
        part.wake.set()  # the rest is over at once, and the thread does nothing after it
        part.rest(time.monotonic() + 10 * MINUTE)

    part = start(rests)
    now = time.monotonic()
    assert progressing([part], now + 9 * MINUTE)
    assert not progressing([part], now + 11 * MINUTE)


def test_one_stuck_thread_is_enough(start: Callable[[Callable[[Part], None]], Part]) -> None:
    well, stuck = start(lambda part: part.work(10 * MINUTE)), start(lambda part: part.work(0.0))
    assert not progressing([well, stuck], time.monotonic() + MINUTE)


def test_a_thread_that_has_ended_is_no_life() -> None:
    part = Part("test", lambda _: None)
    part.start()
    part.join()
    assert not progressing([part], time.monotonic())
