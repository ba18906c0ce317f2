"""Temperatures that kernel drivers already read: hwmon, IIO and thermal zones, found by names that survive a reboot.

A number such as hwmon2 is the order in which drivers were loaded, so it is never a name here.
"""

import errno
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

from agent.errors import Absent, BusStuck, Implausible, Misconfigured, SensorError, Unreadable
from agent.record import dataclass

I2C_DEVICES: Final = Path("sys/bus/i2c/devices")
HWMON: Final = Path("sys/class/hwmon")
IIO: Final = Path("sys/bus/iio/devices")
THERMAL: Final = Path("sys/class/thermal")
_I2C_NAME: Final = re.compile(r"[0-9]+-[0-9a-f]{4}")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_IIO_KINDS: Final = ("", "_object", "_ambient")  # of an infrared thermometer, the object is what is measured


@dataclass(frozen=True, slots=True)
class KernelSensor:
    """`device` is a thermal zone's type (`cpu-thermal`), an I2C device (`1-0048`) or a hwmon or IIO name,
    each with `/label` where it has several temperatures.
    """

    rated_celsius: ClassVar[tuple[float, float]] = (-273.15, 2000.0)  # what stands behind the driver is its secret

    device: str
    root: Path

    @property
    def bus(self) -> str:
        """`i2c-1` for a device on it; a device elsewhere waits for nobody and is a bus of its own."""
        name, _, _ = self.device.partition("/")
        return f"i2c-{name.partition('-')[0]}" if _I2C_NAME.fullmatch(name) else f"kernel {name}"

    def read(self) -> float:
        """Degrees Celsius, from the kernel's thousandths. Raises SensorError.

        Found anew each time: a driver that was loaded again has another number.
        """
        name, _, label = self.device.partition("/")
        channels = [
            channel
            for place in places(self.root, name)
            for channel in temperatures(place)
            if label in {"", channel.label}
        ]
        if not channels:
            raise Absent(
                "absent", f"the kernel has no temperature {self.device!r}", hint="what it has: sensor-agent probe"
            )
        if not label and len({channel.place for channel in channels}) > 1:
            names = ", ".join(sorted(str(channel.place) for channel in channels))
            fix = 'name the I2C device instead, as device = "1-0048"'
            raise Misconfigured("ambiguous", f"several devices are called {name!r}: {names}", hint=fix)
        try:
            return channels[0].celsius()
        except OSError as error:
            raise fault(error, channels[0].place) from error


@dataclass(frozen=True, slots=True)
class Temperature:
    """One temperature of a device: the attributes in `place` that begin with `prefix` and end with `value`."""

    place: Path
    prefix: str
    value: str
    label: str

    def celsius(self) -> float:
        """Degrees Celsius. Raises OSError as the kernel does, SensorError if it is marked faulty or is no number."""
        if self._optional("fault", 0.0):
            raise Implausible("invalid", f"{self.place / self.prefix}fault is set", hint="check the sensor's wiring")
        raw = number(self.place / (self.prefix + self.value))
        if self.value != "raw":
            return raw / 1000
        return (raw + self._optional("offset", 0.0)) * self._optional("scale", 1.0) / 1000

    def _optional(self, what: str, otherwise: float) -> float:
        """An attribute of this channel, else the one that all temperatures of the device share."""
        for prefix in dict.fromkeys((self.prefix, "in_temp_" if self.value == "raw" else self.prefix)):
            path = self.place / (prefix + what)
            if path.exists():
                return number(path)
        return otherwise


def places(root: Path, name: str) -> list[Path]:
    """Folders that hold the attributes of devices of that name."""
    if _I2C_NAME.fullmatch(name):
        device = root / I2C_DEVICES / name
        return sorted(device.glob("hwmon/hwmon*")) + sorted(device.glob("iio:device*"))
    for folder, pattern, attribute in (
        (THERMAL, "thermal_zone*", "type"),
        (HWMON, "hwmon*", "name"),
        (IIO, "iio:device*", "name"),
    ):
        found = [place for place in sorted((root / folder).glob(pattern)) if text(place / attribute) == name]
        if found:
            return found
    return []


def temperatures(place: Path) -> Iterator[Temperature]:
    """The temperatures of one device, the one to take without a label first."""
    if (place / "temp").exists():
        yield Temperature(place, "", "temp", "")
    for file in sorted(place.glob("temp*_input"), key=lambda file: (len(file.name), file.name)):
        prefix = file.name.removesuffix("input")
        yield Temperature(place, prefix, "input", text(place / f"{prefix}label") or prefix.rstrip("_"))
    for kind in _IIO_KINDS:
        for value in ("input", "raw"):
            if (place / f"in_temp{kind}_{value}").exists():
                yield Temperature(place, f"in_temp{kind}_", value, kind.lstrip("_"))
                break


def text(path: Path) -> str:
    """The attribute's text without its newline; empty if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def number(path: Path) -> float:
    """The attribute's number. Raises OSError, or Unreadable if it holds something else."""
    seen = path.read_text(encoding="utf-8", errors="replace").strip()
    if not _NUMBER.fullmatch(seen):
        raise Unreadable("malformed", f"{path} holds no number (got {seen[:40]!r})")
    return float(seen)


def fault(error: OSError, place: Path) -> SensorError:
    """What an errno of a driver means."""
    said = f"{error.filename or place}: errno {error.errno}, {error.strerror}"
    if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EREMOTEIO}:
        return Absent("absent", said, hint="check the sensor's wiring and supply")
    if error.errno == errno.ETIMEDOUT:
        return BusStuck("bus_stuck", said, hint="power-cycle the sensor")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return Misconfigured("no_permission", said, hint=f"who may read it: ls -l {place}")
    return Unreadable("io", said)
