"""The I2C transport under faults: which error the reader gets, what goes over the wire, what is left open."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from agent.config import SensorConfig
from agent.devshield.i2c_wire import I2C_FUNCS, I2cWire, chip_text, install, put_chip, remove_chip
from agent.errors import Absent, BusStuck, Misconfigured, SensorError, Unreadable
from agent.sensors import Sensor
from agent.sensors.drivers import open_all
from agent.sensors.i2c_faults import open_fault, transfer_fault

TMP102_AT_25 = chip_text("word", {"00": "1900", "01": "60a0"})
CALIBRATION = "706b436718fc7d8e43d6d00b270b8c00f9ff8c3cf8c67017"
BMP280 = {"d0": "58", "88": CALIBRATION, "f3": "00", "f7": "8000007eed00"}


class Waits:
    """Conversion waits that take no time and are kept; from the `ended`-th on, the agent is stopping."""

    def __init__(self, *, ended: int | None = None) -> None:
        self.seconds: list[float] = []
        self._ended = ended

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return self._ended is not None and len(self.seconds) >= self._ended


class Stalled(I2cWire):
    """An adapter that is there and answers nothing, so that its driver knows of no function (i2c-tiny-usb does so)."""

    def __call__(self, _fd: int, request: int, arg: Any, _mutate: bool = True) -> int:
        if request != I2C_FUNCS:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        arg.value = 0
        return 0


def sensor(root: Path, driver: str, address: int, waits: Waits | None = None) -> Sensor:
    config = SensorConfig(name="s", driver=driver, address=address)
    return open_all([config], root=root, wait=waits or Waits())[0].sensor


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a path per entry would open more


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EREMOTEIO, Absent),
        (errno.ENXIO, Absent),
        (errno.ENODEV, Absent),
        (errno.ETIMEDOUT, BusStuck),
        (errno.EBUSY, Misconfigured),
        (errno.EACCES, Misconfigured),
        (errno.EPERM, Misconfigured),
        (errno.EOPNOTSUPP, Misconfigured),
        (errno.EIO, Unreadable),
        (errno.EAGAIN, Unreadable),
        (errno.EBADMSG, Unreadable),
    ],
)
@pytest.mark.usefixtures("wire")
def test_errno_of_a_transfer_becomes_the_error_of_who_must_act(
    root: Path, number: int, kind: type[SensorError]
) -> None:
    put_chip(root, 0x48, f"error\n{number}\n")
    with pytest.raises(SensorError) as caught:
        sensor(root, "tmp102", 0x48).read()
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("number", "was_open", "kind", "hint"),
    [
        (errno.ENOENT, False, Misconfigured, "raspi-config"),
        (errno.ENOENT, True, Absent, "plugged in"),
        (errno.ENXIO, False, Absent, "plugged in"),
        (errno.EACCES, False, Misconfigured, "usermod -aG i2c"),
        (errno.EMFILE, True, Unreadable, ""),
    ],
)
def test_errno_of_opening_the_bus_names_the_fix(
    number: int, was_open: bool, kind: type[SensorError], hint: str
) -> None:
    fault = open_fault(OSError(number, os.strerror(number)), Path("/dev/i2c-1"), was_open=was_open)
    assert (type(fault), hint in fault.hint) == (kind, True)


def test_stuck_bus_is_not_asked_again_within_the_tick() -> None:
    assert not transfer_fault(OSError(errno.ETIMEDOUT, "timed out"), 1, 0x48).transient


@pytest.mark.usefixtures("wire")
def test_busy_chip_is_asked_twice_more_before_it_counts_as_absent(root: Path) -> None:
    waits = Waits()
    with pytest.raises(Absent):
        sensor(root, "tmp102", 0x48, waits).read()
    assert len(waits.seconds) == 2


@pytest.mark.usefixtures("wire")
def test_chip_that_comes_back_is_read_again(root: Path) -> None:
    tmp102 = sensor(root, "tmp102", 0x48)
    with pytest.raises(Absent):
        tmp102.read()
    put_chip(root, 0x48, TMP102_AT_25)
    assert tmp102.read() == 25.0


@pytest.mark.usefixtures("wire")
def test_bus_that_vanishes_and_comes_back_is_opened_again(root: Path) -> None:
    put_chip(root, 0x48, TMP102_AT_25)
    tmp102 = sensor(root, "tmp102", 0x48)
    tmp102.read()
    (root / "dev/i2c-1").unlink()
    with pytest.raises(Absent, match="has gone"):
        tmp102.read()
    with pytest.raises(Absent, match="cannot be opened"):
        tmp102.read()
    (root / "dev/i2c-1").touch()
    assert tmp102.read() == 25.0


@pytest.mark.usefixtures("wire")
@pytest.mark.parametrize("number", [errno.EIO, errno.ETIMEDOUT, errno.EREMOTEIO])
def test_failing_reads_leave_no_file_open(root: Path, number: int) -> None:
    put_chip(root, 0x48, f"error\n{number}\n")
    tmp102 = sensor(root, "tmp102", 0x48)
    with pytest.raises(SensorError):
        tmp102.read()
    before = open_files()
    for _ in range(20):
        with pytest.raises(SensorError):
            tmp102.read()
    assert open_files() <= before


@pytest.mark.usefixtures("wire")
@pytest.mark.parametrize("read_before", [True, False])
def test_stalled_adapter_is_not_taken_for_one_that_cannot(root: Path, *, read_before: bool) -> None:
    put_chip(root, 0x48, TMP102_AT_25)
    tmp102 = sensor(root, "tmp102", 0x48)
    if read_before:
        tmp102.read()
    before = open_files()
    take_out = install(Stalled())
    for _ in range(2):
        with pytest.raises(BusStuck, match="does not answer") as caught:
            tmp102.read()
        assert caught.value.reason == "io"
    take_out()
    assert open_files() <= before
    assert tmp102.read() == 25.0


@pytest.mark.usefixtures("wire")
def test_a_reload_leaves_no_file_open(root: Path) -> None:
    put_chip(root, 0x48, TMP102_AT_25)
    before = open_files()
    for _ in range(3):  # the drivers of a configuration, and those of the next
        replaced = sensor(root, "tmp102", 0x48)
        replaced.read()
        assert open_files() == before + 1
        del replaced

    assert open_files() == before


def test_bus_whose_first_ioctl_fails_leaves_no_file_open(root: Path) -> None:
    # no played wire here: the real ioctl meets a plain file and fails with ENOTTY after the open
    tmp102 = sensor(root, "tmp102", 0x48)
    with pytest.raises(Unreadable):
        tmp102.read()
    before = open_files()
    with pytest.raises(Unreadable):
        tmp102.read()
    assert open_files() == before


def test_claimed_chip_is_refused_with_the_sentence_that_fixes_it(root: Path, wire: I2cWire) -> None:
    put_chip(root, 0x48, TMP102_AT_25)
    device = root / "sys/bus/i2c/devices/1-0048"
    device.mkdir(parents=True)
    (device / "driver").symlink_to("../../../../bus/i2c/drivers/tmp102")
    with pytest.raises(Misconfigured) as caught:
        sensor(root, "tmp102", 0x48).read()
    assert 'driver = "kernel", device = "1-0048"' in str(caught.value)
    assert not wire.writes


def test_register_chip_is_read_without_any_write_but_its_pointer(root: Path, wire: I2cWire) -> None:
    put_chip(root, 0x48, TMP102_AT_25)
    sensor(root, "tmp102", 0x48).read()
    assert list(wire.writes) == [(0x48, b"\x00")]


@pytest.mark.usefixtures("wire")
def test_floating_bus_is_told_from_a_chip_just_below_zero(root: Path) -> None:
    put_chip(root, 0x48, chip_text("word", {"02": "ffff"}))
    with pytest.raises(Unreadable, match="no_data"):
        sensor(root, "lm75", 0x48).read()


@pytest.mark.usefixtures("wire")
def test_conversion_wait_that_is_ended_gives_no_reading(root: Path) -> None:
    put_chip(root, 0x44, chip_text("command", {"2400": "6666938000a2"}))
    with pytest.raises(Unreadable, match="stopp"):
        sensor(root, "sht3x", 0x44, Waits(ended=1)).read()


@pytest.mark.usefixtures("wire")
def test_calibration_is_read_once_while_all_is_well(root: Path, wire: I2cWire) -> None:
    put_chip(root, 0x76, chip_text("byte", BMP280))
    bmp280 = sensor(root, "bmp280", 0x76)
    for _ in range(3):
        bmp280.read()
    assert wire.writes.count((0x76, b"\x88")) == 1


@pytest.mark.usefixtures("wire")
@pytest.mark.parametrize(
    "trouble",
    [{}, BMP280 | {"f7": "800000800000"}, BMP280 | {"f7": "800000000000"}],
    ids=["absent", "skipped", "raw count 0, as in a brown-out"],
)
def test_calibration_is_read_again_after_trouble(root: Path, trouble: dict[str, str]) -> None:
    put_chip(root, 0x76, chip_text("byte", BMP280))
    bmp280 = sensor(root, "bmp280", 0x76)
    assert bmp280.read() == 25.08
    put_chip(root, 0x76, chip_text("byte", trouble))
    try:
        garbled = bmp280.read()
    except SensorError:
        garbled = -273.15
    assert garbled < -40
    put_chip(root, 0x76, chip_text("byte", BMP280 | {"88": "0070" + CALIBRATION[4:]}))
    assert bmp280.read() != 25.08


@pytest.mark.usefixtures("wire")
def test_other_chip_at_the_address_is_refused_even_after_it_was_swapped(root: Path) -> None:
    put_chip(root, 0x48, chip_text("word", {"0f": "0117", "00": "0c80"}))
    tmp117 = sensor(root, "tmp117", 0x48)
    assert tmp117.read() == 25.0
    remove_chip(root, 0x48)
    with pytest.raises(Absent):
        tmp117.read()
    put_chip(root, 0x48, TMP102_AT_25)
    with pytest.raises(Misconfigured, match="no tmp117"):
        tmp117.read()


@pytest.mark.parametrize(
    ("driver", "registers"),
    [
        ("adt7410", {"0b": "cb", "02": "80", "03": "80", "00": "0c80"}),
        ("lps22hb", {"0f": "b1", "10": "00", "27": "00", "2b": "c409"}),
        ("bmp280", BMP280 | {"f3": "08"}),
        ("bmp180", {"d0": "55", "aa": "0198ffb8c7d17fe57ff55a71182e00048000ddf90b34", "f4": "20", "f6": "6cfa"}),
    ],
)
@pytest.mark.usefixtures("wire")
def test_busy_flag_that_is_stuck_does_not_hold_the_bus(root: Path, driver: str, registers: dict[str, str]) -> None:
    put_chip(root, 0x48, chip_text("byte", registers))
    waits = Waits()
    config = SensorConfig(name="s", driver=driver, address=0x48)
    with pytest.raises(Unreadable, match="not_ready"):
        open_all([config], root=root, wait=waits)[0].sensor.read()
    assert sum(waits.seconds) < 1.0


@pytest.mark.usefixtures("wire")
def test_aht20_without_calibration_is_initialised(root: Path, wire: I2cWire) -> None:
    put_chip(root, 0x38, chip_text("command", {"71": "10", "ac3300": "1cb8f5a59cd0a3"}))
    sensor(root, "aht20", 0x38).read()
    assert (0x38, b"\xbe\x08\x00") in wire.writes


@pytest.mark.usefixtures("wire")
@pytest.mark.parametrize(("address", "checksum"), [(0x5A, "30"), (0x2A, "c5")])
def test_checksum_of_an_mlx90614_covers_its_address(root: Path, address: int, checksum: str) -> None:
    put_chip(root, address, chip_text("word", {"07": f"d23a{checksum}"}))
    assert sensor(root, "mlx90614", address).read() == pytest.approx(28.01)


@pytest.mark.usefixtures("wire")
def test_bosch_chip_converts_once_more_after_power_on(root: Path, wire: I2cWire) -> None:
    put_chip(root, 0x76, chip_text("byte", BMP280))
    bmp280 = sensor(root, "bmp280", 0x76)
    conversions = []
    for _ in range(2):
        wire.writes.clear()
        bmp280.read()
        conversions.append(wire.writes.count((0x76, b"\xf4\x21")))
    assert conversions == [2, 1]


@pytest.mark.usefixtures("wire")
def test_aht20_that_lost_its_calibration_gives_no_number(root: Path) -> None:
    put_chip(root, 0x38, chip_text("command", {"71": "18", "ac3300": "10b8f5a59cd000"}))
    with pytest.raises(Unreadable, match="bad_calibration"):
        sensor(root, "aht20", 0x38).read()


@pytest.mark.usefixtures("wire")
def test_tmp117_before_its_first_conversion_is_not_ready(root: Path) -> None:
    put_chip(root, 0x48, chip_text("word", {"0f": "0117", "00": "8000"}))
    with pytest.raises(Unreadable, match="not_ready"):
        sensor(root, "tmp117", 0x48).read()


@pytest.mark.parametrize(
    ("driver", "addressing", "registers", "seconds"),
    [
        ("sht3x", "command", {"2400": "6666938000a2"}, 0.0155),  # SHT3x datasheet, table 4: high repeatability
        ("sht4x", "command", {"fd": "6666938000a2"}, 0.0083),
        ("htu21d", "command", {"f3": "683a7c"}, 0.050),
        ("aht10", "command", {"71": "18", "ac3300": "1c8000040000"}, 0.080),
        ("ds1621", "word", {"aa": "1900", "ac": "8c"}, 0.750),
        ("hdc1080", "word", {"fe": "5449", "ff": "1050", "00": "6664"}, 0.0065),
        ("bmp280", "byte", BMP280, 0.007),
    ],
)
@pytest.mark.usefixtures("wire")
def test_chip_that_converts_on_command_gets_the_time(
    root: Path, driver: str, addressing: str, registers: dict[str, str], seconds: float
) -> None:
    put_chip(root, 0x40, chip_text(addressing, registers))
    waits = Waits()
    config = SensorConfig(name="s", driver=driver, address=0x40)
    open_all([config], root=root, wait=waits)[0].sensor.read()
    assert sum(waits.seconds) >= seconds
