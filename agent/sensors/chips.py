"""Every I2C chip the agent reads, by the name that `driver` gives it. Pure: a row says how, a Bus does it."""

from collections.abc import Mapping
from typing import Final

from agent.sensors.linear import LINEAR
from agent.sensors.wire import Chip

CHIPS: Final[Mapping[str, Chip]] = {
    **LINEAR,
    "pct2075": LINEAR["lm75b"],  # NXP's successor, same register and same scale
}
