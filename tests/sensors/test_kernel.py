"""Temperatures of kernel drivers: found by stable names in a made sysfs, whatever number they were given."""

import errno
import os
from pathlib import Path

import pytest

from agent.errors import Absent, BusStuck, Implausible, Misconfigured, SensorError, Unreadable
from agent.sensors.kernel import KernelSensor, fault

THERMAL = "sys/class/thermal/thermal_zone"
HWMON = "sys/class/hwmon/hwmon"
I2C = "sys/bus/i2c/devices/"


def put(folder: Path, **files: str) -> Path:
    """A device's folder with its attributes, each with the kernel's newline."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content + "\n", encoding="utf-8")
    return folder


def read(root: Path, device: str) -> float:
    return KernelSensor(device, root).read()


def test_thermal_zone_is_found_by_its_type(tmp_path: Path) -> None:
    put(tmp_path / f"{THERMAL}0", type="gpu-thermal", temp="40000")
    put(tmp_path / f"{THERMAL}1", type="cpu-thermal", temp="48123")
    assert read(tmp_path, "cpu-thermal") == 48.123


def test_i2c_device_is_found_whatever_number_its_hwmon_got(tmp_path: Path) -> None:
    put(tmp_path / I2C / "1-0048/hwmon/hwmon7", name="tmp102", temp1_input="-62")
    assert read(tmp_path, "1-0048") == -0.062


def test_i2c_device_is_found_under_iio(tmp_path: Path) -> None:
    put(tmp_path / I2C / "1-0076/iio:device2", name="bme280", in_temp_input="21490", in_pressure_input="98.3")
    assert read(tmp_path, "1-0076") == 21.49


def test_driver_that_was_loaded_again_is_followed_to_its_new_number(tmp_path: Path) -> None:
    old = put(tmp_path / f"{HWMON}2", name="nvme", temp1_input="31000")
    sensor = KernelSensor("nvme", tmp_path)
    sensor.read()
    put(old, name="acpitz", temp1_input="99000")
    put(tmp_path / f"{HWMON}5", name="nvme", temp1_input="32000")
    assert sensor.read() == 32.0


@pytest.mark.parametrize(("device", "celsius"), [("nvme", 31.0), ("nvme/Composite", 31.0), ("nvme/Sensor 2", 45.0)])
def test_label_picks_one_of_several_temperatures(tmp_path: Path, device: str, celsius: float) -> None:
    put(tmp_path / f"{HWMON}0", name="nvme", temp1_input="31000", temp1_label="Composite")
    put(tmp_path / f"{HWMON}0", temp10_input="45000", temp10_label="Sensor 2")
    assert read(tmp_path, device) == celsius


@pytest.mark.parametrize(
    ("device", "celsius"), [("1-005a", 28.01), ("1-005a/object", 28.01), ("1-005a/ambient", 24.57)]
)
def test_infrared_thermometer_gives_the_object_unless_told_otherwise(
    tmp_path: Path, device: str, celsius: float
) -> None:
    place = put(tmp_path / I2C / "1-005a/iio:device0", in_temp_object_raw="15058", in_temp_ambient_raw="14886")
    put(place, in_temp_scale="20", in_temp_offset="-13657.500000")  # shared by all its temperatures
    assert read(tmp_path, device) == pytest.approx(celsius)


def test_name_that_several_devices_have_is_refused(tmp_path: Path) -> None:
    for number in (0, 1):
        put(tmp_path / f"{HWMON}{number}", name="tmp102", temp1_input="20000")
    with pytest.raises(Misconfigured, match="ambiguous"):
        read(tmp_path, "tmp102")


@pytest.mark.parametrize("device", ["cpu-thermal", "1-0048", "nvme/Composite", "hwmon0"])
def test_device_that_is_not_there_is_absent(tmp_path: Path, device: str) -> None:
    put(tmp_path / f"{HWMON}0", name="nvme", temp1_input="31000")
    with pytest.raises(Absent):
        read(tmp_path, device)


@pytest.mark.parametrize("content", ["", "n/a", "nan", "1e3", "0x10"])
def test_content_that_is_no_number_gives_none(tmp_path: Path, content: str) -> None:
    put(tmp_path / f"{THERMAL}0", type="cpu-thermal", temp=content)
    with pytest.raises(Unreadable, match="malformed"):
        read(tmp_path, "cpu-thermal")


def test_fault_flag_is_believed(tmp_path: Path) -> None:
    put(tmp_path / f"{HWMON}0", name="max31865", temp1_input="25000", temp1_fault="1")
    with pytest.raises(Implausible, match="fault"):
        read(tmp_path, "max31865")


def test_fault_flag_that_is_clear_lets_the_number_pass(tmp_path: Path) -> None:
    put(tmp_path / f"{HWMON}0", name="max31865", temp1_input="25000", temp1_fault="0")
    assert read(tmp_path, "max31865") == 25.0


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EAGAIN, Unreadable),
        (errno.ENODATA, Unreadable),
        (errno.EIO, Unreadable),
        (errno.ENXIO, Absent),
        (errno.EREMOTEIO, Absent),
        (errno.ETIMEDOUT, BusStuck),
        (errno.EACCES, Misconfigured),
    ],
)
def test_errno_of_a_driver_becomes_the_error_of_who_must_act(number: int, kind: type[SensorError]) -> None:
    assert type(fault(OSError(number, os.strerror(number)), Path("/sys/x"))) is kind


@pytest.mark.parametrize(
    ("device", "bus"), [("1-0048", "i2c-1"), ("13-0048/ambient", "i2c-13"), ("cpu-thermal", "kernel cpu-thermal")]
)
def test_bus_is_shared_with_the_chips_on_it_and_else_with_nobody(tmp_path: Path, device: str, bus: str) -> None:
    assert KernelSensor(device, tmp_path).bus == bus
