"""Buses and their threads: as few as get through in time, one more for what waits behind a bus that does not come back."""

import threading
import time
from collections.abc import Iterator
from math import inf

import pytest

from agent.lanes import Lanes

TALLY = threading.Lock()


class Reads:
    """What is read, by whom, and which of it does not return before it is let go."""

    def __init__(self) -> None:
        self.threads: dict[str, int] = {}
        self.at_once = self.most_at_once = 0
        self.let_go: dict[str, threading.Event] = {}
        self.entered: dict[str, threading.Event] = {}

    def hang(self, *works: str) -> None:
        """Let these reads hang."""
        for work in works:
            self.let_go[work], self.entered[work] = threading.Event(), threading.Event()

    def __call__(self, work: str) -> str:
        self.threads[work] = threading.get_ident()
        with TALLY:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        if work in self.let_go:
            self.entered[work].set()
            assert self.let_go[work].wait(10)
        with TALLY:
            self.at_once -= 1
        if work == "breaks":
            raise ZeroDivisionError("a fault in the driver")
        return work.upper()


@pytest.fixture
def reads() -> Reads:
    return Reads()


@pytest.fixture
def lanes(reads: Reads) -> Iterator[Lanes[str, str]]:
    made = Lanes(reads, lambda work: f"{work} broke", monotonic=time.monotonic, hang_seconds=10.0)
    yield made
    for event in reads.let_go.values():
        event.set()
    made.close()


def read(lanes: Lanes[str, str], works: dict[str, list[str]], *, patience: float = inf) -> list[str]:
    """What a tick of these gives."""
    lanes.read(works, works.keys(), time.monotonic() + patience)
    found = []
    while lanes.finished:
        found.append(lanes.finished.popleft())
    return found


def test_fast_buses_are_read_in_turn_by_one_thread(lanes: Lanes[str, str], reads: Reads) -> None:
    before = threading.active_count()
    for _ in range(3):
        assert sorted(read(lanes, {"w1": ["a"], "i2c-1": ["b", "c"], "kernel": ["d"]})) == ["A", "B", "C", "D"]
    assert reads.most_at_once == 1
    assert threading.active_count() == before + 1


def test_it_ends_with_the_last_bus_and_not_with_the_first(lanes: Lanes[str, str], reads: Reads) -> None:
    reads.hang("slow")
    threading.Timer(0.3, reads.let_go["slow"].set).start()
    assert read(lanes, {"fast": ["a"], "w1": ["slow"]}) == ["A", "SLOW"]


def test_what_waits_behind_a_bus_that_hangs_gets_another_thread(lanes: Lanes[str, str], reads: Reads) -> None:
    reads.hang("stuck")
    assert sorted(read(lanes, {"hung": ["stuck"], "one": ["a"], "two": ["b"]}, patience=2.0)) == ["A", "B"]
    assert reads.threads["a"] != reads.threads["stuck"] != reads.threads["b"]


def test_while_a_bus_hangs_the_others_wait_for_nothing(lanes: Lanes[str, str], reads: Reads) -> None:
    reads.hang("stuck")
    read(lanes, {"hung": ["stuck"], "one": ["a"]}, patience=2.0)
    before = threading.active_count()
    for _ in range(5):
        assert sorted(read(lanes, {"one": ["b"], "two": ["c"]})) == ["B", "C"]
    assert threading.active_count() == before
    assert reads.threads["b"] == reads.threads["c"]


def test_each_of_several_hung_buses_keeps_a_thread_and_the_last_one_is_read(
    lanes: Lanes[str, str], reads: Reads
) -> None:
    stuck = [f"stuck {number}" for number in range(5)]
    reads.hang(*stuck)
    assert read(lanes, {each: [each] for each in stuck} | {"well": ["a"]}, patience=2.0) == ["A"]
    assert len({reads.threads[each] for each in stuck}) == 5


def test_what_was_read_before_a_bus_hung_is_there(lanes: Lanes[str, str], reads: Reads) -> None:
    reads.hang("stuck")
    assert read(lanes, {"bus": ["a", "stuck", "b"]}, patience=0.2) == ["A"]
    reads.let_go["stuck"].set()
    assert read(lanes, {"bus": ["c"]}) == ["STUCK", "B", "C"]


def test_a_bus_is_never_read_by_two_threads_at_once(lanes: Lanes[str, str], reads: Reads) -> None:
    reads.hang("stuck")
    for _ in range(5):
        assert read(lanes, {"bus": ["stuck", "a"]}, patience=0.05) == []
    assert reads.most_at_once == 1


def test_buses_that_took_long_are_read_at_the_same_time(reads: Reads) -> None:
    clock = iter(range(1_000_000))
    lanes = Lanes(reads, str, monotonic=lambda: next(clock) / 4, hang_seconds=1e6)
    works = {"one": ["a"], "two": ["b"]}
    lanes.read(works, works.keys(), 1e6)  # as if each had taken half a second and more
    reads.hang("a", "b")
    lanes.read(works, (), 1e6)
    assert reads.entered["a"].wait(5)
    assert reads.entered["b"].wait(5)
    reads.let_go["a"].set()
    reads.let_go["b"].set()
    lanes.close()


def test_a_driver_that_breaks_down_takes_nobody_with_it(
    lanes: Lanes[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert sorted(read(lanes, {"bad": ["breaks", "a"], "good": ["b"]})) == ["A", "B", "breaks broke"]
    assert "a fault in the driver" in caplog.text
    assert read(lanes, {"bad": ["c"]}) == ["C"]


def test_closed_lanes_let_their_threads_end(reads: Reads) -> None:
    before = set(threading.enumerate())
    lanes = Lanes(reads, str, monotonic=time.monotonic, hang_seconds=10.0)
    read(lanes, {"one": ["a"], "two": ["b"]})
    made = set(threading.enumerate()) - before
    assert made
    lanes.close()
    for thread in made:
        thread.join(5)
        assert not thread.is_alive()
