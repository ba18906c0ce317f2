"""What is configured against what is here."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.config import SensorConfig
from agent.config.sensors import address_of
from agent.sensors.chips import CHIPS
from agent.sensors.ds18b20 import FAMILIES
from agent.sensors.i2c import claimed_by
from agent.sensors.i2c_faults import SWITCH_ON_OR_LOAD, device_name
from agent.sensors.inventory.note import Note
from agent.sensors.inventory.tables import Table
from agent.sensors.kernel import places, temperatures
from agent.sensors.onewire import discover


def configured_as(table: Table, configs: Iterable[SensorConfig]) -> str | None:
    """The name under which what the table describes is configured already, or None."""
    for config in configs:
        device, _, _ = config.device.partition("/")
        if (config.id and config.id == table.get("id")) or (device and device == table.get("device")):
            return config.name
    return None


def absent(root: Path, configs: Iterable[SensorConfig]) -> Iterator[Note]:
    """A note for each configured sensor that is not here or cannot be reached.

    Of an I2C chip only that its bus is missing or its address taken: it is not asked, since that would be a write.
    """
    configs = tuple(configs)
    here = discover(root)
    strangers = [each for each in here if each not in {config.id for config in configs}]
    for config in configs:
        found = _one_wire(config, here, strangers) or _i2c(config, root) or _kernel(config, root)
        if found is not None:
            yield Note(f"sensor {config.name!r} is configured but {found.what}", found.fix)


def _one_wire(config: SensorConfig, here: list[str], strangers: list[str]) -> Note | None:
    if config.driver not in FAMILIES or config.id in here:
        return None
    fix = "check wiring, supply and pull-up (4.7 kΩ)"
    if strangers:
        fix = f"was it replaced? {', '.join(strangers)} is here and not configured; else {fix}"
    return Note(f"{config.id} is on no 1-Wire bus", fix)


def _i2c(config: SensorConfig, root: Path) -> Note | None:
    if config.driver not in CHIPS:
        return None
    if not (root / f"dev/i2c-{config.bus}").exists():
        return Note(f"/dev/i2c-{config.bus} is missing", SWITCH_ON_OR_LOAD)
    address = address_of(config)
    driver = claimed_by(root, config.bus, address)
    if driver is None:
        return None
    fix = f'use driver = "kernel", device = "{device_name(config.bus, address)}"'
    return Note(f"{address:#04x} on i2c-{config.bus} is claimed by kernel driver {driver!r}", fix)


def _kernel(config: SensorConfig, root: Path) -> Note | None:
    if config.driver != "kernel":
        return None
    name, _, label = config.device.partition("/")
    channels = (channel for place in places(root, name) for channel in temperatures(place))
    if any(label in {"", channel.label} for channel in channels):
        return None
    return Note(f"the kernel has no temperature {config.device!r}", "use one of the names that probe prints")
