"""Bytes with known answers, from datasheets, captures and independent implementations, through the whole driver."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.config import SensorConfig
from agent.devshield.i2c_wire import chip_text, put_chip
from agent.devshield.onewire_tree import OneWireTree
from agent.errors import SensorError
from agent.sensors.chips import CHIPS
from agent.sensors.drivers import open_all
from agent.sensors.ds18b20 import FAMILIES
from agent.sensors.gate import gate

VECTORS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))[
    "vectors"
]
SYSFS = {"hwmon": "sys/class/hwmon/hwmon0", "thermal": "sys/class/thermal/thermal_zone0"}
NUMBERS = [vector for vector in VECTORS if vector["celsius"] is not None and vector["plausible"]]
REFUSALS = [vector for vector in VECTORS if vector["celsius"] is None or not vector["plausible"]]


def never(_seconds: float) -> bool:
    """A conversion wait that takes no time: the chips of this world are always done."""
    return False


def read(vector: dict[str, Any], root: Path) -> float:
    """What the configured sensor gives on a board that holds the vector's bytes, gated by its rated range."""
    config = (_put_sysfs if vector["addressing"] == "sysfs" else _put_chip)(vector, root)
    (probe,) = open_all([config], root=root, wait=never)
    return gate(probe.sensor.read(), rated=probe.sensor.rated_celsius, low=None, high=None)


def _put_chip(vector: dict[str, Any], root: Path) -> SensorConfig:
    if vector["addressing"] == "w1_slave":
        tree = OneWireTree(root)
        tree.add(vector["mode"])
        tree.text(vector["mode"], vector["registers"]["w1_slave"])
        return SensorConfig(name="s", driver=vector["chip"], id=vector["mode"])
    address = int(vector["address"], 16)
    put_chip(root, address, chip_text(vector["addressing"], vector["registers"]))
    return SensorConfig(name="s", driver=vector["chip"], address=address)


def _put_sysfs(vector: dict[str, Any], root: Path) -> SensorConfig:
    files = vector["registers"]
    iio = vector["chip"] == "iio"
    place = root / SYSFS.get(vector["chip"], "sys/bus/i2c/devices/1-0040/iio:device0")
    place.mkdir(parents=True)
    for name, content in files.items():
        (place / name).write_text(content, encoding="ascii")
    device = "1-0040" if iio else files.get("name", files.get("type", "")).strip()
    return SensorConfig(name="s", driver="kernel", device=device)


def by_id(vectors: list[dict[str, Any]]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return pytest.mark.parametrize("vector", vectors, ids=[vector["id"] for vector in vectors])


@pytest.mark.usefixtures("wire")
@by_id(NUMBERS)
def test_known_bytes_give_the_known_temperature(vector: dict[str, Any], root: Path) -> None:
    assert read(vector, root) == pytest.approx(vector["celsius"], abs=vector["tolerance"])


@pytest.mark.usefixtures("wire")
@by_id(REFUSALS)
def test_bytes_that_are_no_measurement_give_no_number(vector: dict[str, Any], root: Path) -> None:
    with pytest.raises(SensorError) as caught:
        read(vector, root)
    if vector.get("error"):
        assert caught.value.reason in {*vector["error"].split("|"), "bad_id"}


def test_every_vector_is_used() -> None:
    assert len(NUMBERS) + len(REFUSALS) == len(VECTORS) >= 222


@pytest.mark.parametrize("name", [*CHIPS, *FAMILIES])
def test_every_chip_has_vectors_around_zero_and_of_its_absence(name: str) -> None:
    twins = {name, *(other for other in CHIPS if name in CHIPS and CHIPS[other] is CHIPS[name])}
    numbers = [vector["celsius"] for vector in NUMBERS if vector["chip"] in twins]
    assert min(numbers) < 0.0 < max(numbers)
    assert any(vector["chip"] in twins for vector in REFUSALS)
