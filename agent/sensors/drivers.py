"""The one table of drivers, and what makes each: the configuration in, sensors out, no hardware touched."""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from agent.config import SensorConfig
from agent.config.sensors import address_of
from agent.record import dataclass, field
from agent.sampler import Probe
from agent.sensors import Sensor, Wait
from agent.sensors.chips import CHIPS
from agent.sensors.ds18b20 import FAMILIES
from agent.sensors.i2c import I2cBus, I2cSensor
from agent.sensors.kernel import KernelSensor
from agent.sensors.onewire import BulkConversion, OneWireSensor
from agent.sensors.simulated import SimulatedSensor


@dataclass(frozen=True, slots=True)
class World:
    """What drivers live in. Sensors of one I2C bus share its one open file."""

    root: Path
    wait: Wait
    monotonic: Callable[[], float]
    bulk: BulkConversion
    i2c: dict[int, I2cBus] = field(default_factory=dict)

    def i2c_bus(self, number: int) -> I2cBus:
        """The bus of that number, made when first asked for."""
        return self.i2c.setdefault(number, I2cBus(number, root=self.root, wait=self.wait))


def _one_wire(config: SensorConfig, world: World) -> Sensor:
    return OneWireSensor(config.id, root=world.root, bulk=world.bulk)


def _i2c(config: SensorConfig, world: World) -> Sensor:
    return I2cSensor(CHIPS[config.driver], world.i2c_bus(config.bus), address_of(config), wait=world.wait)


def _kernel(config: SensorConfig, world: World) -> Sensor:
    return KernelSensor(config.device, world.root)


def _simulated(config: SensorConfig, world: World) -> Sensor:
    return SimulatedSensor(config.celsius, config.swing_celsius, config.period_seconds, world.monotonic)


DRIVERS: Final[Mapping[str, Callable[[SensorConfig, World], Sensor]]] = {
    **dict.fromkeys(FAMILIES, _one_wire),
    **dict.fromkeys(CHIPS, _i2c),
    "kernel": _kernel,
    "simulated": _simulated,
}


def open_all(
    configs: Iterable[SensorConfig], *, root: Path, wait: Wait, monotonic: Callable[[], float] = time.monotonic
) -> list[Probe]:
    """The sensors in the order of their configurations, dead ones too: each reading tries afresh.

    Nothing is opened yet; smbus2 and w1thermsensor are imported by the first reading that needs them.
    """
    configs = tuple(configs)
    one_wire = [config.id for config in configs if config.driver in FAMILIES]
    bulk = BulkConversion(one_wire, root=root, monotonic=monotonic)
    world = World(root, wait, monotonic, bulk)
    return [Probe(config, DRIVERS[config.driver](config, world)) for config in configs]
