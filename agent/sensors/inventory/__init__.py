"""What temperature hardware is here, and what stands in its way. Only files are read; no bus is written to.

I2C addresses are not scanned: on some chips the read of a scan is already a command.
"""

from agent.sensors.inventory.configured import absent, configured_as
from agent.sensors.inventory.i2c_notes import i2c_notes
from agent.sensors.inventory.note import Note
from agent.sensors.inventory.one_wire_notes import one_wire_notes
from agent.sensors.inventory.probe import probe
from agent.sensors.inventory.tables import Table

__all__ = ["Note", "Table", "absent", "configured_as", "i2c_notes", "one_wire_notes", "probe"]
