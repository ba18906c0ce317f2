"""The table of drivers: what is made of a configuration, and what is not touched by making it."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.config import SensorConfig
from agent.config.sensors import DRIVERS as CONFIGURABLE
from agent.sensors.drivers import DRIVERS, open_all

WAIT = threading.Event().wait


def test_every_configurable_driver_can_be_made() -> None:
    assert set(DRIVERS) == set(CONFIGURABLE)


def test_sensors_come_in_the_order_of_the_configuration(tmp_path: Path) -> None:
    configs = [SensorConfig(name=name, driver="simulated") for name in "cab"]
    assert [probe.config.name for probe in open_all(configs, root=tmp_path, wait=WAIT)] == ["c", "a", "b"]


@pytest.mark.parametrize("driver", sorted(DRIVERS))
def test_making_a_sensor_touches_no_hardware(tmp_path: Path, driver: str) -> None:
    config = SensorConfig(name="s", driver=driver, id="28-000000000001", device="cpu-thermal")
    (probe,) = open_all([config], root=tmp_path / "no such board", wait=WAIT)
    assert probe.sensor.bus


@pytest.mark.parametrize(
    ("driver", "imported"),
    [
        ("simulated", set()),
        ("kernel", set()),
        ("tmp102", {"smbus2"}),
        ("ds18b20", {"w1thermsensor"}),
    ],
)
def test_libraries_are_imported_by_the_first_reading_that_needs_them(
    tmp_path: Path, driver: str, imported: set[str]
) -> None:
    program = f"""
import sys, threading
from pathlib import Path
from agent.config import SensorConfig
from agent.errors import SensorError
from agent.sensors.drivers import open_all
libraries = {{"smbus2", "w1thermsensor"}}
config = SensorConfig(name="s", driver={driver!r}, id="28-000000000001", device="cpu-thermal")
(probe,) = open_all([config], root=Path({str(tmp_path)!r}), wait=threading.Event().wait)
assert not libraries & set(sys.modules), "by making it"
try:
    probe.sensor.read()
except SensorError:
    pass
print(*sorted(libraries & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (set(done.stdout.split()), done.stderr) == (imported, "")


@pytest.mark.parametrize(("now", "celsius"), [(0.0, 20.0), (900.0, 22.0), (1800.0, 20.0), (2700.0, 18.0)])
def test_simulated_sensor_is_a_sine_of_the_clock(tmp_path: Path, now: float, celsius: float) -> None:
    config = SensorConfig(name="s", driver="simulated")
    (probe,) = open_all([config], root=tmp_path, wait=WAIT, monotonic=lambda: now)
    assert probe.sensor.read() == pytest.approx(celsius)


def test_sensors_of_one_i2c_bus_are_read_by_one_thread(tmp_path: Path) -> None:
    configs = [
        SensorConfig(name="a", driver="tmp102", bus=3),
        SensorConfig(name="b", driver="bmp280", bus=3),
        SensorConfig(name="c", driver="kernel", device="3-0048"),
        SensorConfig(name="d", driver="tmp102", bus=4),
    ]
    probes = open_all(configs, root=tmp_path, wait=WAIT)
    assert [probe.sensor.bus for probe in probes] == ["i2c-3", "i2c-3", "i2c-3", "i2c-4"]
