"""1-Wire sensors through the kernel's files: w1thermsensor finds them, the agent decodes their nine bytes itself."""

from agent.sensors.onewire.bulk import BulkConversion
from agent.sensors.onewire.library import DEVICES, SWITCH_ON, discover
from agent.sensors.onewire.sensor import OneWireSensor

__all__ = ["DEVICES", "SWITCH_ON", "BulkConversion", "OneWireSensor", "discover"]
