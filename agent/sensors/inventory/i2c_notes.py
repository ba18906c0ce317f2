"""What keeps I2C chips from being read: buses that are off, files that may not be opened, addresses that are taken."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.sensors.i2c import claimed_by
from agent.sensors.i2c_faults import LET_IN, SWITCH_ON
from agent.sensors.inventory.boot import I2C, why_off
from agent.sensors.inventory.note import Note
from agent.sensors.kernel import I2C_DEVICES

AT: Final = re.compile(r"([0-9]+)-00([0-9a-f]{2})")
_BUS: Final = re.compile(r"i2c-([0-9]+)")
_LOAD: Final = "sudo modprobe i2c-dev; echo i2c-dev | sudo tee /etc/modules-load.d/i2c-dev.conf"
_OPEN_TO_GROUP: Final = (
    """echo 'SUBSYSTEM=="i2c-dev", GROUP="i2c", MODE="0660"' | sudo tee /etc/udev/rules.d/60-i2c.rules; """
    "sudo udevadm control --reload; sudo udevadm trigger -s i2c-dev"
)


def i2c_notes(root: Path) -> Iterator[Note]:
    """The buses first, then the addresses that kernel drivers have."""
    adapters, buses = _buses(root / I2C_DEVICES), _buses(root / "dev")
    if not adapters and not buses:
        yield Note(*why_off(root, I2C, bus="I2C", seen="/dev/i2c-*", switch_on=SWITCH_ON))
    for number in sorted({*adapters} - {*buses}):
        what = f"i2c-{number} is on, but /dev/i2c-{number} is missing: module i2c-dev is not loaded"
        yield Note(what, _LOAD, about=f"i2c-{number}")
    for number in buses:
        yield from _bus_notes(root / f"dev/i2c-{number}", number)
    for device in sorted((root / I2C_DEVICES).glob("*-*")):
        at = AT.fullmatch(device.name)
        driver = at and claimed_by(root, int(at[1]), int(at[2], 16))
        if at and driver:
            fix = f'if it measures temperature: driver = "kernel", device = "{device.name}"'
            what = f"0x{at[2]} on i2c-{at[1]} is claimed by kernel driver {driver!r}"
            yield Note(what, fix, hinders=False, about=f"i2c-{at[1]}")


def _buses(folder: Path) -> list[int]:
    """The numbers of the buses that have an entry in the folder."""
    return sorted(int(bus[1]) for path in folder.glob("i2c-*") if (bus := _BUS.fullmatch(path.name)))


def _bus_notes(path: Path, number: int) -> Iterator[Note]:
    mode, about = path.stat().st_mode & 0o777, path.name
    if mode & 0o060 != 0o060:
        what = f"/dev/i2c-{number} is closed to its group, and so to the daemon (mode {mode:04o})"
        yield Note(what, _OPEN_TO_GROUP, about=about)
    elif not os.access(path, os.R_OK | os.W_OK):
        yield Note(f"/dev/i2c-{number} may not be opened by this user", LET_IN, about=about)
    what = f"i2c-{number} is here; its chips are not looked for, since that can upset them"
    fix = f"what answers: i2cdetect -y -r {number}; then a table with driver, bus = {number} and address"
    yield Note(what, fix, hinders=False, about=about)
