"""What keeps 1-Wire sensors from being read, and what to know of those that are: from the kernel's files alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.sensors.ds18b20 import FAMILIES
from agent.sensors.inventory.boot import ONE_WIRE, why_off
from agent.sensors.inventory.note import Note
from agent.sensors.kernel import text
from agent.sensors.onewire import DEVICES, SWITCH_ON, discover

MASTER: Final = "w1_bus_master"
_TEMPERATURE: Final = tuple(f"{family:02x}-" for family in FAMILIES.values())
_LOAD: Final = "sudo modprobe w1-therm; echo w1-therm | sudo tee /etc/modules-load.d/w1-therm.conf"


def one_wire_notes(root: Path) -> Iterator[Note]:
    """The bus first, then each sensor on it."""
    devices = root / DEVICES
    here = sorted(place.name for place in devices.iterdir()) if devices.is_dir() else []
    masters = [name for name in here if name.startswith(MASTER)]
    if not masters:
        seen = "1-Wire bus in /sys/bus/w1/devices" if devices.is_dir() else "/sys/bus/w1/devices"
        yield Note(*why_off(root, ONE_WIRE, bus="1-Wire", seen=seen, switch_on=SWITCH_ON))
        return
    yield from _line_notes(here, masters)
    readable = discover(root)
    for name in here:
        if not name.startswith(_TEMPERATURE):
            continue
        if name not in readable:
            yield Note(f"{name} has no w1_slave file: the kernel module w1_therm is not loaded", _LOAD)
        elif text(devices / name / "ext_power") == "0":
            what = f"{name} takes its power from the data line, which a long cable or a clone does not bear"
            yield Note(what, "connect its supply pin to 3.3 V; else dtoverlay=w1-gpio-pullup in config.txt")
        if name.startswith("28-") and not name.startswith("28-0000"):
            fix = "it works; some clones are noisy or off by a degree: compare once, then set offset_celsius"
            yield Note(f"{name} may be a clone of a DS18B20 (Maxim's begin with 28-0000)", fix, hinders=False)


def _line_notes(here: list[str], masters: list[str]) -> Iterator[Note]:
    phantoms = [name for name in here if name.startswith("00-")]
    if phantoms:
        what = f"the 1-Wire line floats: it makes up {', '.join(phantoms)}"
        yield Note(what, "put a 4.7 kΩ resistor between data and 3.3 V")
    elif len(here) == len(masters):
        yield Note(f"{', '.join(masters)} has no sensor on it", "check wiring, supply and pull-up (4.7 kΩ)")
