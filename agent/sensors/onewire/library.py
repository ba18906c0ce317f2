"""The only module that imports w1thermsensor: where sensors are, not what they measure."""

import functools
import importlib
import os
import threading
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from agent.stand_ins import standing_in

DEVICES: Final = Path("sys/bus/w1/devices")
SWITCH_ON: Final = "sudo raspi-config nonint do_onewire 0 && sudo reboot # elsewhere: dtoverlay=w1-gpio in config.txt"
CALIBRATION: Final = "w1thermsensor.calibration_data"
_IMPORTING: Final = threading.Lock()  # two buses' threads may be the first at once


class _Subprocess(ModuleType):
    """The standard library's, imported when the library first calls something: for a precision, which we never set."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


def _calibration() -> ModuleType:
    """In the place of the library's own, which our own does without; what it has is named in annotations alone.

    It is all that needs `dataclasses`, which brings `inspect`: half of the library's import, and 1.3 MiB; subprocess is
    another 0.2.
    """
    made: Any = ModuleType(CALIBRATION)
    made.CalibrationData = object
    return made  # type: ignore[no-any-return]


@functools.cache
def _library(devices: Path) -> Any:
    """w1thermsensor's sensor class for that directory.

    Without the variable its import runs modprobe twice and waits a second on a board without a bus (2.3.0).
    """
    os.environ["W1THERMSENSOR_NO_KERNEL_MODULE"] = "1"
    with _IMPORTING, standing_in(_calibration(), _Subprocess("subprocess")):
        from w1thermsensor import W1ThermSensor

    class Here(W1ThermSensor):  # type: ignore[misc]
        BASE_DIRECTORY = devices

    return Here


def discover(root: Path) -> list[str]:
    """Ids of the temperature sensors that hang on any 1-Wire bus now, sorted; empty without a bus.

    Phantoms of family 00, which a floating line makes up, are none. Not get_available_sensors() of w1thermsensor: one
    sensor that vanishes while they are listed makes it forget all others.
    """
    _library(root / DEVICES)
    from w1thermsensor import Sensor

    families = tuple(f"{sensor.value:02x}-" for sensor in Sensor)
    try:
        names = [place.name for place in (root / DEVICES).iterdir()]
    except OSError:
        return []
    return sorted(name for name in names if name.startswith(families) and locate(root, name) is not None)


def locate(root: Path, sensor_id: str) -> Path | None:
    """The sensor's `w1_slave` file, or None while the kernel does not list it."""
    here = _library(root / DEVICES)
    from w1thermsensor import Sensor
    from w1thermsensor.errors import NoSensorFoundError

    try:
        return Path(here(Sensor(int(sensor_id[:2], 16)), sensor_id[3:]).sensorpath)
    except NoSensorFoundError:
        return None
