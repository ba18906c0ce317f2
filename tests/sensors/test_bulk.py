"""Bulk conversion: when the whole bus is converted at once, and that no result is taken for newer than it is.

The trigger is a pipe here, so that each conversion of the bus can be counted.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import SensorConfig
from agent.devshield.onewire_tree import OneWireTree
from agent.sampler import Probe
from agent.sensors.drivers import open_all

A, B, C, D = "28-00000000000a", "28-00000000000b", "28-00000000000c", "42-00000000000d"
TRIGGER = "sys/devices/w1_bus_master1/therm_bulk_read"


class Board:
    """Sensors on one master, with a clock that moves when told."""

    def __init__(self, root: Path) -> None:
        self.root, self.now = root, 0.0
        self.tree = OneWireTree(root)
        os.mkfifo(root / TRIGGER)
        self.pipe = os.open(root / TRIGGER, os.O_RDWR | os.O_NONBLOCK)

    def open(self, intervals: dict[str, float]) -> dict[str, Probe]:
        """Drivers of these sensors, hung on the bus, by id."""
        for sensor_id in intervals:
            self.tree.add(sensor_id, 20.0)
        configs = [
            SensorConfig(name=each, driver="ds28ea00" if each == D else "ds18b20", id=each, interval_seconds=every)
            for each, every in intervals.items()
        ]
        probes = open_all(configs, root=self.root, wait=lambda _seconds: False, monotonic=lambda: self.now)
        return {probe.config.id: probe for probe in probes}

    def conversions(self) -> int:
        """How often the bus was converted as a whole since it was asked last."""
        try:
            return os.read(self.pipe, 4096).count(b"trigger\n")
        except BlockingIOError:
            return 0


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A board whose trigger is a pipe."""
    made = Board(tmp_path)
    yield made
    os.close(made.pipe)


def test_sensors_that_are_due_together_are_converted_together(board: Board) -> None:
    probes = board.open({A: 60, B: 60, C: 60})
    for probe in probes.values():
        probe.sensor.read()
    assert board.conversions() == 1


def test_every_tick_has_a_conversion_of_its_own(board: Board) -> None:
    probes = board.open({A: 60, B: 60})
    for board.now in (0.0, 60.0, 120.0):
        for probe in probes.values():
            probe.sensor.read()
    assert board.conversions() == 3


def test_result_that_was_left_over_is_converted_anew(board: Board) -> None:
    probes = board.open({A: 60, B: 60})
    probes[A].sensor.read()
    assert board.conversions() == 1
    board.now = 30.0
    probes[B].sensor.read()
    assert board.conversions() == 1


@pytest.mark.parametrize("order", [(A, A), (A, B, B), (A, B, A)])
def test_second_read_within_a_tick_is_a_new_conversion(board: Board, order: tuple[str, ...]) -> None:
    probes = board.open({A: 60, B: 60})
    for each in order:
        probes[each].sensor.read()
    assert board.conversions() == 2


@pytest.mark.parametrize("intervals", [{A: 60, B: 10}, {A: 60}, {A: 60, D: 60}])
def test_sensor_that_is_due_alone_converts_alone(tmp_path: Path, intervals: dict[str, float]) -> None:
    (tmp_path / TRIGGER).parent.mkdir(parents=True)
    (tmp_path / TRIGGER).write_text("0\n", encoding="ascii")
    tree = OneWireTree(tmp_path)
    for each in intervals:
        tree.add(each)
    configs = [
        SensorConfig(name=each, driver="ds28ea00" if each == D else "ds18b20", id=each, interval_seconds=every)
        for each, every in intervals.items()
    ]
    for probe in open_all(configs, root=tmp_path, wait=lambda _seconds: False):
        probe.sensor.read()
    assert (tmp_path / TRIGGER).read_text(encoding="ascii") == "0\n"


def test_result_left_over_by_an_earlier_run_is_converted_anew(tmp_path: Path) -> None:
    OneWireTree(tmp_path).add(A)
    (tmp_path / TRIGGER).write_text("1\n", encoding="ascii")  # w1_therm: results wait that nobody has read
    config = SensorConfig(name="s", driver="ds18b20", id=A)
    open_all([config], root=tmp_path, wait=lambda _seconds: False)[0].sensor.read()
    assert (tmp_path / TRIGGER).read_text(encoding="ascii").startswith("trigger\n")


@pytest.mark.parametrize("trigger", [None, "a folder"])
def test_bus_that_cannot_be_converted_as_a_whole_is_read_one_by_one(tmp_path: Path, trigger: str | None) -> None:
    tree = OneWireTree(tmp_path)
    if trigger:  # opening it for writing fails, for root too
        (tmp_path / TRIGGER).mkdir()
    configs = []
    for number, each in enumerate((A, B)):
        tree.add(each, float(number))
        configs.append(SensorConfig(name=each, driver="ds18b20", id=each))
    probes = open_all(configs, root=tmp_path, wait=lambda _seconds: False)
    assert [probe.sensor.read() for probe in probes] == [0.0, 1.0]
