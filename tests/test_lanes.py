"""Buses and their threads: as few as get through in time, one more for what waits behind a bus that does not come back."""

import threading
import time
from collections.abc import Iterator
from math import inf

import pytest

from agent.lanes import Lanes
from agent.lanes.lane import GRACE_SECONDS

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
    made = Lanes(reads, lambda work, fault: f"{work} broke: {fault}", monotonic=time.monotonic, hang_seconds=10.0)
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
    before = set(threading.enumerate())
    for _ in range(3):
        assert sorted(read(lanes, {"w1": ["a"], "i2c-1": ["b", "c"], "kernel": ["d"]})) == ["A", "B", "C", "D"]
    assert reads.most_at_once == 1
    assert len(set(threading.enumerate()) - before) == 1


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
    before = set(threading.enumerate())
    for _ in range(5):
        assert sorted(read(lanes, {"one": ["b"], "two": ["c"]})) == ["B", "C"]
    assert set(threading.enumerate()) <= before
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


@pytest.mark.parametrize("prepared", [False, True])
def test_buses_that_took_long_are_read_at_the_same_time(reads: Reads, prepared: bool) -> None:
    clock = iter(range(1_000_000))
    lanes = Lanes(reads, lambda work, _: work, monotonic=lambda: next(clock) / 4, hang_seconds=1e6)
    works = {"one": ["a"], "two": ["b"]}
    lanes.read(works, works.keys(), 1e6)  # as if each had taken half a second and more
    reads.hang("a", "b")
    if prepared:
        lanes.prepare(works, 0.0, 1e6)
    else:
        lanes.read(works, (), 1e6)
    assert reads.entered["a"].wait(5)
    assert reads.entered["b"].wait(5)
    reads.let_go["a"].set()
    reads.let_go["b"].set()
    lanes.close()


def test_a_driver_that_breaks_down_takes_nobody_with_it(lanes: Lanes[str, str]) -> None:
    broke = "breaks broke: a fault in the driver"
    assert sorted(read(lanes, {"bad": ["breaks", "a"], "good": ["b"]})) == ["A", "B", broke]
    assert read(lanes, {"bad": ["c"]}) == ["C"]


def test_what_is_prepared_is_read_at_its_time_while_nobody_waits(lanes: Lanes[str, str], reads: Reads) -> None:
    read(lanes, {"one": ["a"], "two": ["b"]})
    reads.hang("c", "d")
    for event in reads.let_go.values():
        event.set()
    at = time.monotonic() + 0.05
    lanes.prepare({"one": ["c"], "two": ["d"]}, at, inf)
    assert reads.entered["c"].wait(5)
    assert time.monotonic() >= at
    assert reads.entered["d"].wait(5)
    lanes.read({}, {"one", "two"}, inf)
    assert sorted(lanes.finished) == ["C", "D"]


def test_a_thread_comes_for_the_next_tick_by_itself_time_after_time(lanes: Lanes[str, str], reads: Reads) -> None:
    before = set(threading.enumerate())
    for place in range(5):
        work = f"tick {place}"
        reads.hang(work)
        now = time.monotonic()
        lanes.prepare({"one": [work]}, now + 0.02, now + 0.04)
        assert reads.entered[work].wait(5)
        reads.let_go[work].set()
        lanes.read({}, {"one"}, inf)
    assert len(set(threading.enumerate()) - before) == 1
    assert len(lanes.finished) == 5


def test_what_is_prepared_waits_for_its_time_though_a_thread_is_free_before(
    lanes: Lanes[str, str], reads: Reads
) -> None:
    reads.hang("slow", "early")
    read(lanes, {"one": ["slow"]}, patience=0.05)
    now = time.monotonic()
    lanes.prepare({"two": ["early"]}, now + 1000, now + 2000)
    reads.let_go["slow"].set()
    assert not reads.entered["early"].wait(0.2)


def test_a_thread_that_comes_earlier_than_what_is_prepared_waits_on(lanes: Lanes[str, str], reads: Reads) -> None:
    reads.hang("first", "early")
    reads.let_go["first"].set()
    now = time.monotonic()
    lanes.prepare({"one": ["first"]}, now, now + 0.1)
    assert reads.entered["first"].wait(5)
    lanes.prepare({"two": ["early"]}, now + 1000, now + 2000)
    assert not reads.entered["early"].wait(0.3)


def test_what_was_prepared_and_not_begun_is_read_when_it_is_asked_for(lanes: Lanes[str, str]) -> None:
    now = time.monotonic()
    lanes.prepare({"one": ["a"]}, now + 1000, now + 2000)
    lanes.read({"two": ["b"]}, {"one", "two"}, inf)
    assert sorted(lanes.finished) == ["A", "B"]


def test_what_waits_behind_a_prepared_bus_that_hangs_is_read_all_the_same(lanes: Lanes[str, str], reads: Reads) -> None:
    read(lanes, {"one": ["a"], "two": ["b"]})
    reads.hang("stuck")
    now = time.monotonic()
    lanes.prepare({"one": ["stuck"], "two": ["c"]}, now + 0.01, now + 60)
    assert reads.entered["stuck"].wait(5)
    lanes.read({}, {"one", "two"}, time.monotonic() + 2.0)
    assert list(lanes.finished) == ["C"]


def test_it_says_how_long_the_buses_will_take_by_the_last_time() -> None:
    now = 0.0

    def slowly(work: str) -> str:
        nonlocal now
        now += 0.75
        return work

    lanes = Lanes(slowly, lambda work, _: work, monotonic=lambda: now, hang_seconds=10.0)
    lanes.read({"one": ["a"]}, {"one"}, inf)
    assert lanes.prepare({"one": ["b"]}, 60.0, 120.0) == 0.75 + GRACE_SECONDS
    lanes.close()


def test_closed_lanes_read_nothing_and_keep_nobody_waiting(lanes: Lanes[str, str], reads: Reads) -> None:
    read(lanes, {"one": ["a"]})
    now = time.monotonic()
    lanes.prepare({"one": ["b"]}, now + 1000, now + 2000)
    lanes.close()
    assert read(lanes, {"two": ["c"]}) == []
    assert set(reads.threads) == {"a"}


def test_closed_lanes_let_their_threads_end(reads: Reads) -> None:
    before = set(threading.enumerate())
    lanes = Lanes(reads, lambda work, _: work, monotonic=time.monotonic, hang_seconds=10.0)
    read(lanes, {"one": ["a"], "two": ["b"]})
    made = set(threading.enumerate()) - before
    assert made
    lanes.close()
    for thread in made:
        thread.join(5)
        assert not thread.is_alive()


def test_who_waits_is_told_by_the_last_bus_that_does_not_hang(reads: Reads) -> None:
    now = [0.0]
    lanes = Lanes(reads, lambda work, _: work, monotonic=lambda: now[0], hang_seconds=10.0)
    reads.hang("a", "b")
    lanes.read({"hung": ["a"]}, (), 0.0)
    assert reads.entered["a"].wait(5)
    now[0] = 100.0
    tick = threading.Thread(target=lambda: lanes.read({"late": ["b"]}, ("hung", "late"), 1e6))
    tick.start()
    threading.Timer(0.5, reads.let_go["b"].set).start()  # once it only waits for the bell
    tick.join(5)
    assert not tick.is_alive()
    assert list(lanes.finished) == ["B"]
    reads.let_go["a"].set()
    lanes.close()
