"""The way to the sensors: overlay, kernel module, device file, its group, the bus's clock; of configured buses only."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from agent.checks.accounts import Account, group_ids, may
from agent.checks.finding import AS_ROOT, Check, fail, ok, warn
from agent.config import SensorConfig
from agent.record import replace
from agent.sensors.chips import CHIPS
from agent.sensors.ds18b20 import FAMILIES
from agent.sensors.i2c_faults import SWITCH_ON_OR_LOAD
from agent.sensors.inventory import Note, i2c_notes, one_wire_notes
from agent.sensors.inventory.boot import I2C, why_off
from agent.sensors.onewire import discover

GROUP: Final = "i2c"
USUAL_HERTZ: Final = 100_000


def one_wire(sensors: Collection[SensorConfig], root: Path) -> Iterator[Check]:
    """The 1-Wire bus, if a configured sensor hangs on it: a note that leaves no sensor readable is a failure."""
    if not any(config.driver in FAMILIES for config in sensors):
        return
    here = discover(root)
    notes = list(one_wire_notes(root))
    if not any(note.hinders for note in notes):
        yield ok("1-wire", f"{len(here)} sensors: {', '.join(here)}")
    for note in notes:
        yield _judged("1-wire", note, grave=not here)


def hidden(root: Path, bus: str, service: Account | None) -> bool:
    """Whether it is this user alone who may not open the I2C bus: the service may, whose unit puts it into the group."""
    file, groups = root / f"dev/{bus}", group_ids(root)
    if (
        service is None
        or GROUP not in groups
        or not file.exists()
        or os.access(file, os.R_OK | os.W_OK, effective_ids=True)
    ):
        return False
    return may(replace(service, groups=service.groups | {groups[GROUP]}), file.stat(), 6)


def i2c(sensors: Collection[SensorConfig], root: Path, service: Account | None) -> Iterator[Check]:
    """Each I2C bus with a configured chip."""
    numbers = sorted({config.bus for config in sensors if config.driver in CHIPS})
    notes = list(i2c_notes(root)) if numbers else []
    for number in numbers:
        name, file = f"i2c-{number}", root / f"dev/i2c-{number}"
        mine = [note for note in notes if note.about == name and note.hinders]
        if not file.exists() and not mine:  # other buses may be there: a Pi's HDMI ports have one each
            what, fix = why_off(root, I2C, bus=name, seen=f"/dev/{name}", switch_on=SWITCH_ON_OR_LOAD)
            yield fail(name, what, fix)
        if hidden(root, name, service):
            yield warn(name, f"/dev/{name} may not be opened by this user", AS_ROOT)
            continue
        for note in mine:
            yield _judged(name, note, grave=True)
        if file.exists() and not mine:
            yield _group(name, file.stat().st_gid, group_ids(root)) or ok(name, _clock(root, number))


def _judged(name: str, note: Note, *, grave: bool) -> Check:
    if not note.hinders:
        return ok(name, note.what)
    return fail(name, note.what, note.fix) if grave else warn(name, note.what, note.fix)


def _group(name: str, owner: int, groups: dict[str, int]) -> Check | None:
    """A device file of another group than the service has; None when it is right, or the system knows no such group."""
    if groups.get(GROUP, owner) == owner:
        return None
    theirs = next((group for group, number in groups.items() if number == owner), str(owner))
    saw = f"/dev/{name} belongs to group {theirs}, and the service is in {GROUP}"
    return fail(name, saw, f"sudo chgrp {GROUP} /dev/{name} # for ever: a udev rule with GROUP={GROUP}")


def _clock(root: Path, number: int) -> str:
    """What the device tree says of the bus's clock, where there is one."""
    try:
        raw = (root / f"sys/class/i2c-adapter/i2c-{number}/of_node/clock-frequency").read_bytes()
    except OSError:
        return f"/dev/i2c-{number} is here"
    hertz = int.from_bytes(raw, "big")
    slower = "" if hertz <= USUAL_HERTZ else ", fast: a long cable wants dtparam=i2c_arm_baudrate=50000"
    return f"/dev/i2c-{number} is here, at {hertz // 1000} kHz{slower}"
