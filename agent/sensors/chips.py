"""Every I2C chip the agent reads, by the name that `driver` gives it. Pure: a row says how, a Bus does it."""

from collections.abc import Mapping
from typing import Final

from agent.sensors.aosong import AOSONG
from agent.sensors.bosch import BOSCH
from agent.sensors.linear import LINEAR
from agent.sensors.registers import REGISTERS
from agent.sensors.sensirion import SENSIRION
from agent.sensors.wire import Chip

CHIPS: Final[Mapping[str, Chip]] = {
    **LINEAR,
    **REGISTERS,
    **SENSIRION,
    **AOSONG,
    **BOSCH,
    "lm75a": LINEAR["lm75b"],  # NXP's; National's LM75A has the nine bits of lm75
    "pct2075": LINEAR["lm75b"],
}
