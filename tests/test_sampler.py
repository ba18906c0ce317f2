"""Ticks of many sensors: who waits for whom, what is tried again, what is known of each afterwards.

Threads, pipes and signals are real; only time is the test's where a test is about time.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from world.scripted import Scripted

from agent.clock import Clock
from agent.config import SensorConfig
from agent.devshield.onewire_tree import OneWireTree
from agent.errors import Absent, Unreadable
from agent.sampler import Health, Probe, Sampler, Taken
from agent.sensors.drivers import open_all
from agent.trend import Trend

CLOCK = Clock(trust_any=True, boot_id="test")
CRC = Unreadable("crc", "made by the test")


class Blocking(Scripted):
    """A sensor whose read returns when it is let go."""

    def __init__(self, celsius: float, *, bus: str) -> None:
        super().__init__(celsius, bus=bus)
        self.let_go = threading.Event()
        self.entered = threading.Event()

    def read(self) -> float:
        self.entered.set()
        assert self.let_go.wait(10)
        return super().read()


def probe(name: str, sensor: Scripted, *, offset: float = 0.0, low: float | None = None) -> Probe:
    return Probe(SensorConfig(name=name, driver="simulated", offset_celsius=offset, min_celsius=low), sensor)


@pytest.fixture
def sampler_of() -> Iterator[Callable[..., Sampler]]:
    """Makes samplers whose threads end with the test."""
    made: list[Sampler] = []

    def make(
        probes: Iterable[Probe], *, hang_seconds: float = 10.0, monotonic: Callable[[], float] = time.monotonic
    ) -> Sampler:
        made.append(Sampler(list(probes), CLOCK, monotonic=monotonic, hang_seconds=hang_seconds))
        return made[-1]

    yield make
    for sampler in made:
        sampler.close()


def names(taken: list[Taken]) -> list[str]:
    return [each.name for each in taken]


def threads() -> set[threading.Thread]:
    """Those that read buses."""
    return {thread for thread in threading.enumerate() if thread.name == "buses"}


def test_results_come_in_the_order_of_the_probes_whatever_bus_was_first(sampler_of: Callable[..., Sampler]) -> None:
    slow = Blocking(1.0, bus="slow")
    probes = [probe("z", slow), probe("a", Scripted(2.0, bus="fast")), probe("m", Scripted(3.0, bus="slow"))]
    sampler = sampler_of(probes)
    threading.Timer(0.05, slow.let_go.set).start()
    assert [(each.name, each.celsius) for each in sampler.tick(probes)] == [("z", 1.0), ("a", 2.0), ("m", 3.0)]


def test_only_the_given_probes_are_read(sampler_of: Callable[..., Sampler]) -> None:
    idle = Scripted(1.0)
    probes = [probe("idle", idle), probe("due", Scripted(2.0))]
    assert names(sampler_of(probes).tick(probes[1:])) == ["due"]
    assert idle.reads == 0


def test_failing_sensor_costs_only_its_own_reading(sampler_of: Callable[..., Sampler]) -> None:
    probes = [probe("dead", Scripted(Absent("absent", "gone"))), probe("well", Scripted(20.0))]
    dead, well = sampler_of(probes).tick(probes)
    assert (dead.celsius, well.celsius) == (None, 20.0)


def test_healthy_sensors_of_a_bus_are_read_before_a_failing_one(sampler_of: Callable[..., Sampler]) -> None:
    order: list[str] = []

    class Logged(Scripted):
        def read(self) -> float:
            order.append("bad" if self._bad else "good")
            return super().read()

        def __init__(self, answer: float | Exception, *, bad: bool) -> None:
            super().__init__(answer)
            self._bad = bad

    probes = [probe("bad", Logged(Absent("absent", "gone"), bad=True)), probe("good", Logged(1.0, bad=False))]
    sampler = sampler_of(probes)
    sampler.tick(probes)
    order.clear()
    sampler.tick(probes)
    assert order == ["good", "bad"]


def test_sensor_that_failed_last_time_gets_one_try(sampler_of: Callable[..., Sampler]) -> None:
    sensor = Scripted(CRC)
    probes = [probe("s", sensor)]
    sampler = sampler_of(probes)
    sampler.tick(probes)
    before = sensor.reads
    sampler.tick(probes)
    assert sensor.reads == before + 1


def test_health_counts_failures_in_a_row_and_keeps_the_last_good(sampler_of: Callable[..., Sampler]) -> None:
    probes = [probe("s", Scripted(20.0, Absent("absent", "gone")))]
    sampler = sampler_of(probes)
    (good,) = sampler.tick(probes)
    sampler.tick(probes)
    sampler.tick(probes)
    health = sampler.health["s"]
    assert (health.failures, health.celsius, health.last_good) == (2, 20.0, good.stamp)


def test_health_forgets_its_failures_with_a_good_reading() -> None:
    stamp = CLOCK.stamp()
    failing = Health().after(Taken("s", stamp, error=CRC))
    trend = Trend().after(20.0, stamp.boot_seconds)
    assert failing.after(Taken("s", stamp, 20.0)) == Health(celsius=20.0, last_good=stamp, failed=1, trend=trend)


def test_change_of_state_is_logged_once(sampler_of: Callable[..., Sampler], caplog: pytest.LogCaptureFixture) -> None:
    gone = Absent("absent", "gone")
    probes = [probe("s", Scripted(20.0, gone, gone, gone, 20.0, 20.0))]
    sampler = sampler_of(probes)
    with caplog.at_level(logging.INFO, logger="agent.sampler"):
        for _ in range(6):
            sampler.tick(probes)
    assert [record.message for record in caplog.records] == ["sensor failing", "sensor reads again"]


def test_hung_bus_does_not_keep_the_tick_of_the_others(sampler_of: Callable[..., Sampler]) -> None:
    hung = Blocking(1.0, bus="hung")
    probes = [probe("hung", hung), probe("well", Scripted(20.0, bus="well"))]
    sampler = sampler_of(probes)
    assert names(sampler.tick(probes, patience=0.5)) == ["well"]
    assert names(sampler.tick(probes, patience=0.5)) == ["well"]
    hung.let_go.set()


def test_slow_reading_comes_with_a_later_tick_and_its_own_instant(sampler_of: Callable[..., Sampler]) -> None:
    slow = Blocking(1.0, bus="slow")
    probes = [probe("slow", slow), probe("well", Scripted(20.0, bus="well"))]
    sampler = sampler_of(probes)
    sampler.tick(probes, patience=0.05)
    let_go = time.clock_gettime(time.CLOCK_BOOTTIME)
    slow.let_go.set()
    assert slow.entered.wait(5)
    seen: list[Taken] = []
    while "slow" not in names(seen):
        seen = sampler.tick(probes[1:])
    assert names(seen) == ["slow", "well"]
    # the neighbour's of that tick may be earlier or later: the two are read at the same time
    assert let_go <= seen[0].stamp.boot_seconds <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_sensor_that_is_still_being_read_is_not_asked_again(sampler_of: Callable[..., Sampler]) -> None:
    slow = Blocking(1.0, bus="slow")
    probes = [probe("slow", slow)]
    sampler = sampler_of(probes)
    for _ in range(3):
        sampler.tick(probes, patience=0.01)
    slow.let_go.set()
    while not sampler.tick([], patience=0):
        threading.Event().wait(0.005)
    assert slow.reads == 1


def test_bus_that_hangs_too_long_is_reported_each_tick(sampler_of: Callable[..., Sampler]) -> None:
    hung = Blocking(1.0, bus="hung")
    probes = [probe("hung", hung), probe("behind", Scripted(2.0, bus="hung"))]
    sampler = sampler_of(probes, hang_seconds=0.05)
    for _ in range(2):
        assert [each.error and each.error.reason for each in sampler.tick(probes)] == ["hung", "hung"]
    hung.let_go.set()


def test_bus_that_was_idle_for_long_does_not_count_as_hung(sampler_of: Callable[..., Sampler]) -> None:
    probes, now = [probe("s", Scripted(1.0))], [0.0]
    sampler = sampler_of(probes, monotonic=lambda: now[0])
    sampler.tick(probes)
    now[0] = 3600.0
    assert sampler.tick(probes)[0].celsius == 1.0


def test_bus_that_returns_from_a_hang_is_read_again(sampler_of: Callable[..., Sampler]) -> None:
    hung = Blocking(1.0, bus="hung")
    probes = [probe("hung", hung)]
    sampler = sampler_of(probes, hang_seconds=0.05)
    sampler.tick(probes)
    hung.let_go.set()
    while sampler.tick(probes)[-1].error is not None:
        threading.Event().wait(0.005)
    assert sampler.health["hung"].failures == 0


def test_driver_that_breaks_down_stops_no_other_and_is_tried_again(
    sampler_of: Callable[..., Sampler], caplog: pytest.LogCaptureFixture
) -> None:
    fault = ZeroDivisionError("a fault in the driver")
    probes = [
        probe("broken", Scripted(fault, fault, 5.0, bus="broken")),
        probe("well", Scripted(20.0, bus="well")),
    ]
    sampler = sampler_of(probes)
    began = time.monotonic()
    for _ in range(2):
        broken, well = sampler.tick(probes)
        assert (broken.error and broken.error.reason, well.celsius) == ("broken", 20.0)
    assert [each.celsius for each in sampler.tick(probes)] == [5.0, 20.0]
    (told,) = (record for record in caplog.records if record.exc_info)
    assert (told.getMessage(), told.__dict__["SENSOR"]) == ("driver broke down", "broken")
    assert time.monotonic() - began < 2.0


def test_read_that_blocks_in_the_kernel_delays_no_other_bus(tmp_path: Path, sampler_of: Callable[..., Sampler]) -> None:
    hung = OneWireTree(tmp_path, master="w1_bus_master1")
    hung.add("28-000000000001")
    pipe = hung.hang("28-000000000001")  # open(2) of a pipe without a writer blocks as a bus does
    OneWireTree(tmp_path, master="w1_bus_master2").add("28-000000000002", 4.5)
    configs = [
        SensorConfig(name="hung", driver="ds18b20", id="28-000000000001"),
        SensorConfig(name="well", driver="ds18b20", id="28-000000000002"),
    ]
    probes = open_all(configs, root=tmp_path, wait=threading.Event().wait)
    sampler = sampler_of(probes, hang_seconds=0.2)
    sampler.tick(probes[1:])  # the import of the library is no part of what is timed
    began = time.monotonic()
    hung_taken, well = sampler.tick(probes)
    assert (hung_taken.error and hung_taken.error.reason, well.celsius) == ("hung", 4.5)
    assert time.monotonic() - began < 2.0
    os.close(os.open(pipe, os.O_RDWR))


def test_signals_do_not_reach_the_thread_that_reads(sampler_of: Callable[..., Sampler]) -> None:
    blocked: list[set[int]] = []

    class Looking(Scripted):
        def read(self) -> float:
            blocked.append({int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, [])})
            return super().read()

    probes = [probe("s", Looking(1.0))]
    sampler_of(probes).tick(probes)
    assert {signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1} <= blocked[0]


def test_prepared_sensors_are_read_once_and_their_readings_are_the_ticks_own(
    sampler_of: Callable[..., Sampler],
) -> None:
    one, two = Blocking(1.0, bus="one"), Blocking(2.0, bus="two")
    probes = [probe("one", one), probe("two", two), probe("other", Scripted(3.0))]
    sampler = sampler_of(probes)
    now = time.monotonic()
    sampler.prepare(probes[:2], now, now + 60)
    assert one.entered.wait(5)
    one.let_go.set()
    assert two.entered.wait(5)
    two.let_go.set()
    assert [(each.name, each.celsius) for each in sampler.tick(probes)] == [("one", 1.0), ("two", 2.0), ("other", 3.0)]
    assert (one.reads, two.reads) == (1, 1)
    sampler.tick(probes)
    assert (one.reads, two.reads) == (2, 2)


def test_prepared_sensor_that_the_tick_does_not_ask_for_comes_with_it(sampler_of: Callable[..., Sampler]) -> None:
    early = Blocking(1.0, bus="early")
    early.let_go.set()
    probes = [probe("early", early), probe("due", Scripted(2.0))]
    sampler = sampler_of(probes)
    now = time.monotonic()
    sampler.prepare(probes[:1], now, now + 60)
    assert early.entered.wait(5)
    seen: list[Taken] = []
    while "early" not in names(seen):
        seen += sampler.tick(probes[1:])
    assert early.reads == 1


def test_prepared_sensor_that_hangs_is_reported_and_the_others_are_read(sampler_of: Callable[..., Sampler]) -> None:
    hung = Blocking(1.0, bus="hung")
    probes = [probe("hung", hung), probe("well", Scripted(2.0, bus="well"))]
    sampler = sampler_of(probes, hang_seconds=0.1)
    now = time.monotonic()
    sampler.prepare(probes, now, now + 60)
    assert hung.entered.wait(5)
    taken = {each.name: each for each in sampler.tick(probes)}
    assert (taken["hung"].error and taken["hung"].error.reason, taken["well"].celsius) == ("hung", 2.0)
    hung.let_go.set()


def test_fast_buses_share_one_thread_however_many_ticks(sampler_of: Callable[..., Sampler]) -> None:
    before = threads()
    probes = [probe(name, Scripted(1.0, bus=bus)) for name, bus in (("a", "shared"), ("b", "shared"), ("c", "own"))]
    sampler = sampler_of(probes)
    for _ in range(5):
        sampler.tick(probes)
    assert len(threads() - before) == 1


def test_a_sampler_that_is_closed_in_a_tick_gives_what_has_been_read(sampler_of: Callable[..., Sampler]) -> None:
    hung = Blocking(1.0, bus="hung")
    probes = [probe("hung", hung), probe("well", Scripted(2.0, bus="well"))]
    sampler = sampler_of(probes)
    given: list[Taken] = []
    tick = threading.Thread(target=lambda: given.extend(sampler.tick(probes)))
    tick.start()
    threading.Timer(0.5, sampler.close).start()  # once it only waits for the bell
    tick.join(5)
    assert not tick.is_alive()
    hung.let_go.set()
    assert names(given) == ["well"]


def test_who_finishes_waits_for_what_is_being_read_and_begins_nothing_else(sampler_of: Callable[..., Sampler]) -> None:
    early = Blocking(1.0, bus="early")
    probes = [probe("early", early), probe("later", Scripted(2.0, bus="early"))]
    sampler = sampler_of(probes)
    now = time.monotonic()
    sampler.prepare(probes[:1], now, now + 60)
    assert early.entered.wait(5)
    sampler.prepare(probes[1:], now + 60, now + 120)
    threading.Timer(0.05, early.let_go.set).start()
    sampler.finish(patience=10)
    assert names(sampler.collect()) == ["early"]


def test_closed_sampler_lets_its_threads_end(sampler_of: Callable[..., Sampler]) -> None:
    before = threads()
    probes = [probe("s", Scripted(1.0, bus="ending"))]
    sampler = sampler_of(probes)
    sampler.tick(probes)
    (thread,) = threads() - before
    sampler.close()
    thread.join(5)
    assert not thread.is_alive()
