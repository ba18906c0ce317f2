"""The watchdog is petted only while every thread goes on; and who is called though it comes by itself sleeps on."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from agent.part import SLACK_SECONDS, Part, progressing
from agent.service import looked_at_after

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


def test_a_thread_that_was_late_once_has_two_more_looks_before_the_watchdog_bites() -> None:
    well, late = looked_at_after(120.0, well=True), looked_at_after(120.0, well=False)
    assert well == 60.0  # sd_watchdog_enabled(3): every half of the time
    assert well + 2 * late < 120.0


def resting(part: Part) -> Part:
    """The part once it rests."""
    while not part.rests_until:
        threading.Event().wait(0.001)
    return part


def test_who_comes_soon_by_itself_is_not_woken() -> None:
    part = Part("test", lambda part: part.rest(time.monotonic() + MINUTE))
    part.start()
    resting(part).call(within=2 * MINUTE)
    assert not part.wake.is_set()
    part.wake.set()
    part.join(5)


@pytest.mark.parametrize("until", [MINUTE, float("inf")])
def test_who_rests_for_longer_is_woken(until: float) -> None:
    part = Part("test", lambda part: part.rest(time.monotonic() + until))
    part.start()
    resting(part).call(within=MINUTE / 2)
    part.join(5)
    assert not part.is_alive()


def test_a_call_that_comes_before_the_rest_is_heard() -> None:
    called = threading.Event()

    def loop(part: Part) -> None:
        called.wait(5)
        part.rest(time.monotonic() + MINUTE)

    part = Part("test", loop)
    part.start()
    part.call(within=2 * MINUTE)  # it is awake: who knows whether it has looked already
    called.set()
    part.join(5)
    assert not part.is_alive()
