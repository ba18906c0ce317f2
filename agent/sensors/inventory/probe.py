"""Everything that was found on a board, and every note on it."""

from pathlib import Path

from agent.sensors.inventory.i2c_notes import i2c_notes
from agent.sensors.inventory.note import Note
from agent.sensors.inventory.one_wire_notes import one_wire_notes
from agent.sensors.inventory.tables import Table, tables


def probe(root: Path) -> tuple[list[Table], list[Note]]:
    """Ready `[[sensors]]` tables of what can be read here, each name once, and what stands in the way of the rest."""
    return tables(root), [*one_wire_notes(root), *i2c_notes(root)]
