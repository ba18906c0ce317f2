"""What temperature hardware is here, as tables for the configuration. Only sysfs is read; no bus is written to.

I2C addresses are not scanned: on some chips the read of a scan is already a command.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from agent.sensors.ds18b20 import FAMILIES
from agent.sensors.i2c import claimed_by
from agent.sensors.kernel import HWMON, I2C_DEVICES, THERMAL, temperatures, text
from agent.sensors.onewire import DEVICES as ONE_WIRE
from agent.sensors.onewire import SWITCH_ON, discover

Table = dict[str, Any]
_DRIVER_OF: Final = {family: driver for driver, family in FAMILIES.items()}
_AT: Final = re.compile(r"([0-9]+)-00([0-9a-f]{2})")


class Note(NamedTuple):
    """Something the operator should know: what was seen, and what to do about it."""

    what: str
    fix: str


def probe(root: Path) -> tuple[list[Table], list[Note]]:
    """Ready `[[sensors]]` tables of what can be read here, each name once, and what stands in the way of the rest."""
    tables = [*_one_wire(root), *_kernel(root)]
    return _named_apart(tables), [*_one_wire_notes(root), *_i2c_notes(root)]


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
        monitor for monitor in sorted((root / HWMON).glob("hwmon*")) if not _AT.fullmatch(_parent(monitor / "device"))
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


def _one_wire_notes(root: Path) -> Iterator[Note]:
    if not (root / ONE_WIRE).is_dir():
        yield Note("1-Wire is off (no /sys/bus/w1/devices)", SWITCH_ON)
        return
    phantoms = [place.name for place in (root / ONE_WIRE).iterdir() if place.name.startswith("00-")]
    if phantoms:
        what = f"the 1-Wire line floats: it makes up {', '.join(sorted(phantoms))}"
        yield Note(what, "put a 4.7 kΩ resistor between data and 3.3 V")
    for sensor_id in discover(root):
        if sensor_id.startswith("28-") and not sensor_id.startswith("28-0000"):
            what = f"{sensor_id} may be a clone of a DS18B20 (Maxim's begin with 28-0000)"
            yield Note(
                what, "it works; some clones are noisy or off by a degree: compare once, then set offset_celsius"
            )


def _i2c_notes(root: Path) -> Iterator[Note]:
    buses = sorted(path.name for path in (root / "dev").glob("i2c-*") if path.name[4:].isdecimal())
    if not buses:
        fix = (
            "if there is an I2C sensor: sudo raspi-config nonint do_i2c 0 (elsewhere: dtparam=i2c_arm=on), then reboot"
        )
        yield Note("I2C is off (no /dev/i2c-*)", fix)
    for bus in buses:
        what = f"{bus} is here; its chips are not looked for, since that can upset them"
        fix = f"what answers: i2cdetect -y -r {bus[4:]}; then a table with driver, bus = {bus[4:]} and address"
        yield Note(what, fix)
    for device in sorted((root / I2C_DEVICES).glob("*-*")):
        at = _AT.fullmatch(device.name)
        driver = at and claimed_by(root, int(at[1]), int(at[2], 16))
        if at and driver:
            fix = f'if it measures temperature: driver = "kernel", device = "{device.name}"'
            yield Note(f"0x{at[2]} on i2c-{at[1]} is claimed by kernel driver {driver!r}", fix)
