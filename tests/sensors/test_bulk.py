"""Bulk conversion: when the whole bus is converted at once, and that no result is taken for newer than it is.

The trigger is a pipe here, so that each conversion of the bus can be counted.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from world.onewire_bus import played_bus

from agent.clock import Clock
from agent.config import SensorConfig
from agent.devshield.onewire_tree import OneWireTree
from agent.sampler import Probe, Sampler, Taken
from agent.sensors.drivers import open_all

A, B, C, D = "28-00000000000a", "28-00000000000b", "28-00000000000c", "42-00000000000d"
TWENTY = tuple(f"28-0000000001{number:02x}" for number in range(20))
EVERY_MINUTE = dict.fromkeys((A, B, C, D, *TWENTY), 60.0)
CLOCK = Clock(trust_any=True, boot_id="test")


def trigger_of(root: Path, master: str = "w1_bus_master1") -> Path:
    return root / "sys/devices" / master / "therm_bulk_read"


def probes_of(
    root: Path, intervals: Mapping[str, float], *, monotonic: Callable[[], float] = time.monotonic
) -> dict[str, Probe]:
    """Drivers of these sensors, by id."""
    configs = [
        SensorConfig(name=each, driver="ds28ea00" if each == D else "ds18b20", id=each, interval_seconds=every)
        for each, every in intervals.items()
    ]
    probes = open_all(configs, root=root, wait=lambda _seconds: False, monotonic=monotonic)
    return {probe.config.id: probe for probe in probes}


class Board:
    """A sampler on sensors of one master, with a clock that moves when told; called, it tells the time."""

    def __init__(self, root: Path, intervals: Mapping[str, float]) -> None:
        self.now = 0.0
        self.tree = OneWireTree(root)
        os.mkfifo(trigger_of(root))
        self.pipe = os.open(trigger_of(root), os.O_RDWR | os.O_NONBLOCK)
        for each in intervals:
            self.tree.add(each, 20.0)
        self.probes = probes_of(root, intervals, monotonic=self)
        self.sampler = Sampler(list(self.probes.values()), CLOCK, monotonic=self)

    def __call__(self) -> float:
        return self.now

    def tick(self, *ids: str) -> list[Taken]:
        """One tick in which these are due."""
        return self.sampler.tick([self.probes[each] for each in ids])

    def conversions(self) -> int:
        """How often the bus was converted as a whole since it was asked last."""
        try:
            return os.read(self.pipe, 4096).count(b"trigger\n")
        except BlockingIOError:
            return 0

    def close(self) -> None:
        self.sampler.close()
        os.close(self.pipe)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A board whose trigger is a pipe."""
    made = Board(tmp_path, EVERY_MINUTE)
    yield made
    made.close()


def test_bus_of_twenty_is_one_conversion(board: Board) -> None:
    assert [taken.celsius for taken in board.tick(*TWENTY)] == [20.0] * 20
    assert board.conversions() == 1


def test_every_tick_has_a_conversion_of_its_own(board: Board) -> None:
    for board.now in (0.0, 60.0, 120.0):
        board.tick(A, B)
    assert board.conversions() == 3


def test_result_that_was_left_over_is_converted_anew(board: Board) -> None:
    board.tick(A, B)
    board.now = 30.0
    board.conversions()
    board.tick(C, TWENTY[0])  # neither was read after the first conversion
    assert board.conversions() == 1


def test_sensors_of_different_intervals_share_the_conversion_of_a_tick_that_they_share(tmp_path: Path) -> None:
    board = Board(tmp_path, {A: 20.0, B: 60.0, C: 30.0})
    board.tick(A, B, C)
    assert board.conversions() == 1
    board.close()


@pytest.mark.parametrize("due", [(A,), (A, D), (D,)])
def test_sensor_that_is_due_alone_converts_alone(tmp_path: Path, board: Board, due: tuple[str, ...]) -> None:
    trigger_of(tmp_path).unlink()
    trigger_of(tmp_path).write_text("0\n", encoding="ascii")  # w1_therm: no result waits
    board.tick(*due)
    assert trigger_of(tmp_path).read_text(encoding="ascii") == "0\n"


def test_second_read_within_a_tick_is_a_new_conversion(board: Board) -> None:
    board.tree.empty(B)
    board.tick(A, B)  # B is tried three times
    assert board.conversions() == 3


def test_failing_sensor_leaves_no_old_result_to_its_neighbours(board: Board) -> None:
    board.tree.empty(B)
    board.tick(A, B)
    board.conversions()
    board.now = 60.0
    board.tick(A, B)
    assert board.conversions() >= 1


def test_each_master_is_converted_by_itself(tmp_path: Path) -> None:
    due, pipes = (A, B, C, TWENTY[0]), []
    for master, ids in (("w1_bus_master1", (A, B)), ("w1_bus_master2", (C, TWENTY[0]))):
        tree = OneWireTree(tmp_path, master=master)
        for each in ids:
            tree.add(each)
        os.mkfifo(trigger_of(tmp_path, master))
        pipes.append(os.open(trigger_of(tmp_path, master), os.O_RDWR | os.O_NONBLOCK))
    probes = list(probes_of(tmp_path, dict.fromkeys(due, 60.0)).values())
    for probe in probes:  # one after the other, as the slower of two threads may be
        probe.sensor.due_with(due)  # type: ignore[attr-defined]
        probe.sensor.read()
    assert [os.read(pipe, 4096) for pipe in pipes] == [b"trigger\n"] * 2
    for pipe in pipes:
        os.close(pipe)


def test_result_left_over_by_an_earlier_run_is_converted_anew(tmp_path: Path) -> None:
    OneWireTree(tmp_path).add(A)
    trigger_of(tmp_path).write_text("1\n", encoding="ascii")  # w1_therm: results wait that nobody has read
    probes_of(tmp_path, {A: 60.0})[A].sensor.read()
    assert trigger_of(tmp_path).read_text(encoding="ascii").startswith("trigger\n")


@pytest.mark.parametrize("trigger", [None, "a folder"])
def test_bus_that_cannot_be_converted_as_a_whole_is_read_one_by_one(tmp_path: Path, trigger: str | None) -> None:
    tree = OneWireTree(tmp_path)
    if trigger:  # opening it for writing fails, for root too
        trigger_of(tmp_path).mkdir()
    for number, each in enumerate((A, B)):
        tree.add(each, float(number))
    sampler = Sampler(probes := list(probes_of(tmp_path, {A: 60.0, B: 60.0}).values()), CLOCK, monotonic=time.monotonic)
    assert [taken.celsius for taken in sampler.tick(probes)] == [0.0, 1.0]
    sampler.close()


@pytest.mark.parametrize(("bulk", "conversions"), [(True, 1), (False, 20)])
def test_bus_of_twenty_takes_as_long_as_its_conversions(tmp_path: Path, bulk: bool, conversions: int) -> None:
    with played_bus(tmp_path, TWENTY, seconds=0.05, bulk=bulk) as converted:
        sampler = Sampler(
            probes := list(probes_of(tmp_path, dict.fromkeys(TWENTY, 60.0)).values()),
            CLOCK,
            monotonic=time.monotonic,
            hang_seconds=0.5,
        )
        began = time.monotonic()
        taken = sampler.tick(probes)
        took = time.monotonic() - began
        sampler.close()
    assert [each.celsius for each in taken] == [20.0] * 20, "a bus that is slow is not hung"
    assert len(converted) == conversions
    assert 0.05 * conversions <= took
