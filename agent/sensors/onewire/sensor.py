"""One 1-Wire sensor: its file read once, its nine bytes decoded, its failures told apart."""

import errno
import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from agent.errors import Absent, Implausible, Misconfigured, SensorError, Unreadable
from agent.sensors.ds18b20 import POWER_ON_CELSIUS, RATED_CELSIUS, decode, scratchpad
from agent.sensors.onewire.bulk import BulkConversion
from agent.sensors.onewire.library import DEVICES, SWITCH_ON, discover, locate

POWER_ON_NEAR_CELSIUS: Final = 5.0  # a clone at a true 85.0 was within that of it a minute ago
UNKNOWN: Final = "w1"


class OneWireSensor:
    """One sensor by its ROM id. Whether it is there is asked anew at each reading, so it may come and go."""

    rated_celsius: Final = RATED_CELSIUS

    def __init__(self, sensor_id: str, *, root: Path, bulk: BulkConversion | None = None) -> None:
        self.id = sensor_id
        self._root, self._bulk = root, bulk
        self._family = int(sensor_id[:2], 16)
        self._bus = UNKNOWN
        self._last_good: float | None = None
        self._due: Collection[str] = ()

    @property
    def bus(self) -> str:
        """The master that the sensor hangs on, or did last, as `w1_bus_master1`; `w1` while that is unknown."""
        try:
            master = (self._root / DEVICES / self.id).readlink().parent.name
        except OSError:
            return self._bus
        if master.startswith("w1_bus_master"):
            self._bus = master
        return self._bus

    def due_with(self, ids: Collection[str]) -> None:
        """Those about to be read on any bus, this one among them: on one bus they share a conversion."""
        self._due = ids

    def read(self) -> float:
        """Degrees Celsius. Takes the kernel 0.8 s: the read starts the conversion and waits for it.

        85.0 is also what a chip holds after power-on, so it is read once more, and then believed only of a sensor that
        was near it before. Raises SensorError.
        """
        try:
            celsius = self._convert()
        except Implausible as error:
            if error.reason != "power_on_reset":
                raise
            celsius = self._again()
        self._last_good = celsius
        return celsius

    def _again(self) -> float:
        try:
            return self._convert()
        except Implausible as error:
            near = self._last_good is not None and abs(self._last_good - POWER_ON_CELSIUS) <= POWER_ON_NEAR_CELSIUS
            if error.reason == "power_on_reset" and near:
                return POWER_ON_CELSIUS
            raise

    def _convert(self) -> float:
        path = locate(self._root, self.id)
        if path is None:
            raise self._absent()
        if self._bulk is not None and self.bus != UNKNOWN:
            self._bulk.prepare(self.id, self.bus, due=self._due)
        try:
            text = _read_once(path)
        except OSError as error:
            raise self._fault(path, error) from error
        return decode(scratchpad(text), self._family)

    def _absent(self) -> Absent:
        devices = self._root / DEVICES
        if not devices.is_dir():
            return Absent("no_bus", f"{devices} does not exist: 1-Wire is off", hint=SWITCH_ON)
        others = ", ".join(each for each in discover(self._root) if each != self.id)
        hint = f"it shows {others}; is `id` right?" if others else "check wiring, supply and pull-up (4.7 kΩ)"
        return Absent("absent", f"{self.id} is not on the bus", hint=hint)

    def _fault(self, path: Path, error: OSError) -> SensorError:
        said = f"{path}: errno {error.errno}, {error.strerror}"
        if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO}:
            return self._absent()
        if error.errno in {errno.EACCES, errno.EPERM}:
            return Misconfigured("no_permission", said, hint=f"who may read it: ls -l {path}")
        return Unreadable("io", said)


def _read_once(path: Path) -> bytes:
    """The whole file by one read(2).

    Not get_raw_sensor_strings() of w1thermsensor: a failed conversion is an empty file, which its text-mode read asks
    for twice, and each asking makes the kernel convert again; it also turns every errno into "not found".
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, 4096)
    finally:
        os.close(file)
