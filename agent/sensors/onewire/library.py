"""The only module that imports w1thermsensor: where sensors are, not what they measure."""

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

DEVICES: Final = Path("sys/bus/w1/devices")
SWITCH_ON: Final = (
    "sudo raspi-config nonint do_onewire 0 (elsewhere: dtoverlay=w1-gpio in config.txt), then sudo reboot"
)


@functools.cache
def _library(devices: Path) -> Any:
    """w1thermsensor's sensor class for that directory.

    Without the variable its import runs modprobe twice and waits a second on a board without a bus (2.3.0).
    """
    os.environ["W1THERMSENSOR_NO_KERNEL_MODULE"] = "1"
    from w1thermsensor import W1ThermSensor

    class Here(W1ThermSensor):  # type: ignore[misc]
        BASE_DIRECTORY = devices

    return Here


def discover(root: Path) -> list[str]:
    """Ids of the temperature sensors that hang on any 1-Wire bus now, sorted; empty without a bus.

    Phantoms of family 00, which a floating line makes up, are none.
    """
    here = _library(root / DEVICES)
    from w1thermsensor.errors import NoSensorFoundError

    try:
        found: Iterable[Any] = here.get_available_sensors()
    except (OSError, NoSensorFoundError):  # no bus; or one vanished while they were listed
        return []
    return sorted(f"{sensor.type.value:02x}-{sensor.id}" for sensor in found)


def locate(root: Path, sensor_id: str) -> Path | None:
    """The sensor's `w1_slave` file, or None while the kernel does not list it."""
    here = _library(root / DEVICES)
    from w1thermsensor import Sensor
    from w1thermsensor.errors import NoSensorFoundError

    try:
        return Path(here(Sensor(int(sensor_id[:2], 16)), sensor_id[3:]).sensorpath)
    except NoSensorFoundError:
        return None
