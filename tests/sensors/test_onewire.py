"""1-Wire sensors on a tree of the kernel's files: what fails, what comes back, what is believed."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.devshield.onewire_tree import OneWireTree
from agent.errors import Absent, Implausible, Misconfigured, SensorError, Unreadable
from agent.sensors.onewire import OneWireSensor, discover

ID = "28-00000586475d"
POWER_ON = bytes.fromhex("50054b467fff0c101c")
TRUE_85 = bytes.fromhex("50054b467fff1010bd")
AT_82 = bytes.fromhex("20054b467fff0c10a9")
INSUFFICIENT_POWER = bytes.fromhex("ff074b467fff0c10a6")


@pytest.fixture
def tree(tmp_path: Path) -> OneWireTree:
    """A bus with one sensor at 21.5 °C."""
    tree = OneWireTree(tmp_path)
    tree.add(ID, 21.5)
    return tree


@pytest.fixture
def sensor(tree: OneWireTree, tmp_path: Path) -> OneWireSensor:
    """The driver of that sensor."""
    del tree
    return OneWireSensor(ID, root=tmp_path)


def test_sensor_gives_what_it_measures_now(tree: OneWireTree, sensor: OneWireSensor) -> None:
    sensor.read()
    tree.set(ID, -10.125)
    assert sensor.read() == -10.125


@pytest.mark.parametrize("family", ["10", "22", "28", "3b", "42"])
def test_every_family_is_read_with_its_own_scale(tmp_path: Path, family: str) -> None:
    sensor_id = f"{family}-0000000000aa"
    OneWireTree(tmp_path).add(sensor_id, -0.25)
    assert OneWireSensor(sensor_id, root=tmp_path).read() == -0.25


@pytest.mark.parametrize(
    ("trouble", "kind", "reason"),
    [
        (lambda tree: tree.empty(ID), Unreadable, "no_data"),
        (lambda tree: tree.shorted(ID), Implausible, "bus_shorted"),
        (lambda tree: tree.frame(ID, b"\xff" * 9), Unreadable, "crc"),
        (lambda tree: tree.frame(ID, AT_82[:-1] + b"\x00"), Unreadable, "crc"),
        (lambda tree: tree.frame(ID, POWER_ON), Implausible, "power_on_reset"),
        (lambda tree: tree.frame(ID, INSUFFICIENT_POWER), Implausible, "insufficient_power"),
        (lambda tree: tree.text(ID, "91 01 4b 46 7f ff 0f 10 25 : crc=25 YES\n"), Unreadable, "malformed"),
        (lambda tree: tree.text(ID, "91 01 4b"), Unreadable, "malformed"),
        (lambda tree: tree.remove(ID), Absent, "absent"),
    ],
    ids=["empty", "shorted", "all-ones", "crc", "power-on", "weak-supply", "first-line-only", "cut-off", "gone"],
)
def test_failed_read_says_what_kind_of_failure(
    tree: OneWireTree,
    sensor: OneWireSensor,
    trouble: Callable[[OneWireTree], None],
    kind: type[SensorError],
    reason: str,
) -> None:
    trouble(tree)
    with pytest.raises(SensorError) as caught:
        sensor.read()
    assert (type(caught.value), caught.value.reason) == (kind, reason)


def test_true_85_degrees_are_read(tree: OneWireTree, sensor: OneWireSensor) -> None:
    tree.frame(ID, TRUE_85)
    assert sensor.read() == 85.0


def test_power_on_value_is_believed_of_a_clone_that_was_near_85(tree: OneWireTree, sensor: OneWireSensor) -> None:
    tree.frame(ID, AT_82)
    assert sensor.read() == 82.0
    tree.frame(ID, POWER_ON)
    assert sensor.read() == 85.0


def test_power_on_value_is_refused_of_a_sensor_that_was_at_room_temperature(
    tree: OneWireTree, sensor: OneWireSensor
) -> None:
    sensor.read()
    tree.frame(ID, POWER_ON)
    with pytest.raises(Implausible, match="power_on_reset"):
        sensor.read()


def test_power_on_value_is_read_once_more(tree: OneWireTree, sensor: OneWireSensor) -> None:
    pipe = tree.hang(ID)
    got: list[float] = []
    reader = threading.Thread(target=lambda: got.append(sensor.read()), daemon=True)
    reader.start()
    with pipe.open("w") as end:
        pipe.unlink()
        tree.frame(ID, AT_82)
        end.write("50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000\n")
    reader.join(5)
    assert got == [82.0]


def test_failing_read_asks_the_kernel_once(tree: OneWireTree, sensor: OneWireSensor) -> None:
    pipe = tree.hang(ID)
    failed: list[str] = []

    def read() -> None:
        try:
            sensor.read()
        except SensorError as error:
            failed.append(error.reason)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    end = os.open(pipe, os.O_RDWR)  # keeps the pipe open, so that a second read(2) would block instead of ending
    os.write(end, b"\n")
    reader.join(5)
    os.close(end)
    assert failed == ["malformed"]


def test_sensor_that_comes_back_is_read_again(tree: OneWireTree, sensor: OneWireSensor) -> None:
    tree.remove(ID)
    with pytest.raises(Absent):
        sensor.read()
    tree.add(ID, 4.0)
    assert sensor.read() == 4.0


@pytest.mark.usefixtures("tree")
def test_absent_sensor_is_told_with_what_is_there_instead(tmp_path: Path) -> None:
    with pytest.raises(Absent) as caught:
        OneWireSensor("28-000000000001", root=tmp_path).read()
    assert ID in caught.value.hint


def test_board_without_a_bus_is_told_how_to_switch_it_on(tmp_path: Path) -> None:
    with pytest.raises(Absent) as caught:
        OneWireSensor(ID, root=tmp_path).read()
    assert "dtoverlay=w1-gpio" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_file_that_may_not_be_read_is_a_matter_of_configuration(sensor: OneWireSensor, tmp_path: Path) -> None:
    (tmp_path / f"sys/bus/w1/devices/{ID}/w1_slave").chmod(0)
    with pytest.raises(Misconfigured):
        sensor.read()


def test_bus_is_the_master_that_the_sensor_hangs_on(tmp_path: Path) -> None:
    OneWireTree(tmp_path, master="w1_bus_master2").add(ID)
    assert OneWireSensor(ID, root=tmp_path).bus == "w1_bus_master2"


def test_bus_of_a_sensor_never_seen_is_unknown(tmp_path: Path) -> None:
    assert OneWireSensor(ID, root=tmp_path).bus == "w1"


def test_bus_of_a_sensor_that_has_gone_is_the_last_known(tree: OneWireTree, sensor: OneWireSensor) -> None:
    before = sensor.bus
    tree.remove(ID)
    assert sensor.bus == before == "w1_bus_master1"


def test_discovery_is_sorted_and_leaves_out_phantoms(tree: OneWireTree, tmp_path: Path) -> None:
    for sensor_id in ("28-000000000003", "00-400000000000", "10-000000000001"):
        tree.add(sensor_id)
    assert discover(tmp_path) == ["10-000000000001", "28-000000000003", ID]


def test_discovery_without_a_bus_finds_nothing(tmp_path: Path) -> None:
    assert discover(tmp_path) == []
