"""What can be read here, as tables for the configuration, each by the name that survives a reboot."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from agent.sensors.ds18b20 import FAMILIES
from agent.sensors.inventory.i2c_notes import AT
from agent.sensors.kernel import HWMON, I2C_DEVICES, THERMAL, temperatures, text
from agent.sensors.onewire import discover

Table = dict[str, Any]
_DRIVER_OF: Final = {family: driver for driver, family in FAMILIES.items()}


def tables(root: Path) -> list[Table]:
    """Ready `[[sensors]]` tables of what can be read here, each name once."""
    return _named_apart([*_one_wire(root), *_kernel(root)])


def _one_wire(root: Path) -> Iterator[Table]:
    for sensor_id in discover(root):
        driver = _DRIVER_OF[int(sensor_id[:2], 16)]
        yield {"name": f"{driver}-{sensor_id[-4:]}", "driver": driver, "id": sensor_id}


def _kernel(root: Path) -> Iterator[Table]:
    zones = [text(zone / "type") for zone in sorted((root / THERMAL).glob("thermal_zone*"))]
    for kind in sorted(set(zones) - {""}):
        if zones.count(kind) == 1:
            yield {"name": kind, "driver": "kernel", "device": kind}
    for device in sorted((root / I2C_DEVICES).glob("*-*")):
        for place in (*device.glob("hwmon/hwmon*"), *device.glob("iio:device*")):
            if next(temperatures(place), None):
                yield {"name": f"{text(place / 'name')}-{device.name}", "driver": "kernel", "device": device.name}
    # what is on I2C, on 1-Wire or in a thermal zone stands above by the better name
    shown = {"w1_slave_temp", *zones, *(zone.replace("-", "_") for zone in zones)}
    monitors = [
        monitor for monitor in sorted((root / HWMON).glob("hwmon*")) if not AT.fullmatch(_parent(monitor / "device"))
    ]
    names = [text(monitor / "name") for monitor in monitors]
    for name, monitor in zip(names, monitors, strict=True):
        if name and name not in shown and names.count(name) == 1 and next(temperatures(monitor), None):
            yield {"name": name, "driver": "kernel", "device": name}


def _parent(link: Path) -> str:
    try:
        return link.readlink().name
    except OSError:
        return ""


def _named_apart(tables: list[Table]) -> list[Table]:
    """The tables, later ones of the same name numbered: names must differ, and characters must be allowed."""
    taken: dict[str, int] = {}
    for table in tables:
        name = re.sub(r"[^A-Za-z0-9 _.:/-]", "-", table["name"]).lstrip(" _.:/-") or "sensor"
        taken[name] = taken.get(name, 0) + 1
        table["name"] = name if taken[name] == 1 else f"{name}-{taken[name]}"
    return tables
