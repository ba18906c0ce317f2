"""The watchdog is petted only while every thread goes on; and who is called though it comes by itself sleeps on."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from agent.service import looked_at_after
from agent.watched_thread import SLACK_SECONDS, WatchedThread, progressing

MINUTE = 60.0


@pytest.fixture
def start() -> Iterator[Callable[[Callable[[WatchedThread], None]], WatchedThread]]:
    """Start a thread that says one thing and then stays, as one that is stuck does."""
    release = threading.Event()
    started: list[WatchedThread] = []

    def begin(says: Callable[[WatchedThread], None]) -> WatchedThread:
        said = threading.Event()

        def loop(thread: WatchedThread) -> None:
            says(thread)
            said.set()
            release.wait()

        thread = WatchedThread("test", loop)
        thread.start()
        assert said.wait(5)
        started.append(thread)
        return thread

    yield begin
    release.set()
    for thread in started:
        thread.join()


def test_a_thread_that_works_longer_than_it_said_is_stuck(
    start: Callable[[Callable[[WatchedThread], None]], WatchedThread],
) -> None:
    thread = start(lambda thread: thread.work(MINUTE))
    now = time.monotonic()
    assert progressing([thread], now + MINUTE)
    assert not progressing([thread], now + MINUTE + SLACK_SECONDS + 1)


def test_a_thread_that_waits_for_its_next_tick_is_not_stuck_before_it(
    start: Callable[[Callable[[WatchedThread], None]], WatchedThread],
) -> None:
    def rests(thread: WatchedThread) -> None:
        thread.wake.set()  # the rest is over at once, and the thread does nothing after it
        thread.rest(time.monotonic() + 10 * MINUTE)

    thread = start(rests)
    now = time.monotonic()
    assert progressing([thread], now + 9 * MINUTE)
    assert not progressing([thread], now + 11 * MINUTE)


def test_one_stuck_thread_is_enough(start: Callable[[Callable[[WatchedThread], None]], WatchedThread]) -> None:
    well, stuck = start(lambda thread: thread.work(10 * MINUTE)), start(lambda thread: thread.work(0.0))
    assert not progressing([well, stuck], time.monotonic() + MINUTE)


def test_a_thread_that_has_ended_is_no_life() -> None:
    thread = WatchedThread("test", lambda _: None)
    thread.start()
    thread.join()
    assert not progressing([thread], time.monotonic())


def test_a_thread_that_was_late_once_has_two_more_looks_before_the_watchdog_bites() -> None:
    well, late = looked_at_after(120.0, well=True), looked_at_after(120.0, well=False)
    assert well == 60.0  # sd_watchdog_enabled(3): every half of the time
    assert well + 2 * late < 120.0


def resting(thread: WatchedThread) -> WatchedThread:
    """The thread once it rests."""
    while not thread.rests_until:
        threading.Event().wait(0.001)
    return thread


def test_who_comes_soon_by_itself_is_not_woken() -> None:
    thread = WatchedThread("test", lambda thread: thread.rest(time.monotonic() + MINUTE))
    thread.start()
    resting(thread).call(within=2 * MINUTE)
    assert not thread.wake.is_set()
    thread.wake.set()
    thread.join(5)


@pytest.mark.parametrize("until", [MINUTE, float("inf")])
def test_who_rests_for_longer_is_woken(until: float) -> None:
    thread = WatchedThread("test", lambda thread: thread.rest(time.monotonic() + until))
    thread.start()
    resting(thread).call(within=MINUTE / 2)
    thread.join(5)
    assert not thread.is_alive()


def test_a_call_that_comes_before_the_rest_is_heard() -> None:
    called = threading.Event()

    def loop(thread: WatchedThread) -> None:
        called.wait(5)
        thread.rest(time.monotonic() + MINUTE)

    thread = WatchedThread("test", loop)
    thread.start()
    thread.call(within=2 * MINUTE)  # it is awake: who knows whether it has looked already
    called.set()
    thread.join(5)
    assert not thread.is_alive()
