"""An LM75 and an MCP9808 as they answer on the wire: a pointer, and registers behind it.

Layouts are the datasheets'; nothing here is shared with the drivers that read them.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Registers:
    """A chip whose first written byte is a pointer; `present` False leaves every message unacknowledged."""

    celsius: float
    present: bool = True
    _pointer: int = field(default=0, init=False)
    _kept: dict[int, bytes] = field(default_factory=dict, init=False)

    def write(self, data: bytes) -> bool:
        """Set the pointer, and the register if there is more."""
        if self.present and data:
            self._pointer = data[0]
            if len(data) > 1:
                self._kept[self._pointer] = data[1:]
        return self.present

    def read(self, count: int) -> bytes | None:
        """The register at the pointer; all ones beyond its end, as a bus that nobody pulls down."""
        if not self.present:
            return None
        return (self._kept.get(self._pointer) or self.register(self._pointer)).ljust(count, b"\xff")[:count]

    def register(self, pointer: int) -> bytes:
        """What stands there at power-on."""
        raise NotImplementedError


class Lm75(Registers):
    """Half degrees in the upper nine bits; the original of 1996, whose lower seven are undefined."""

    __slots__ = ()

    def register(self, pointer: int) -> bytes:
        """Temperature, configuration, hysteresis 75 °C, limit 80 °C."""
        if pointer == 0:
            return (round(self.celsius * 2) << 7 & 0xFFFF).to_bytes(2, "big")
        return {1: b"\x00", 2: b"\x4b\x00", 3: b"\x50\x00"}.get(pointer, b"\xff\xff")


class Mcp9808(Registers):
    """Sixteenths in thirteen bits, below three flags."""

    __slots__ = ()

    def register(self, pointer: int) -> bytes:
        """Temperature with the flag of one above the upper limit (0 °C at power-on), manufacturer and device."""
        if pointer == 5:
            sixteenths = round(self.celsius * 16)
            return (0x4000 * (self.celsius > 0) | sixteenths & 0x1FFF).to_bytes(2, "big")
        return {6: b"\x00\x54", 7: b"\x04\x00", 8: b"\x03"}.get(pointer, b"\x00\x00")
