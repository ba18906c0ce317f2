"""A DS2482-100: I2C on one side, a 1-Wire line on the other.

After its datasheet: commands of one byte, two with a parameter; a read pointer that each command sets. Slots take no time
here, so the busy bit is never seen.
"""

from dataclasses import dataclass, field

from vm.onewire import Line

RESET, SET_POINTER, WRITE_CONFIGURATION = 0xF0, 0xE1, 0xD2
LINE_RESET, SINGLE_BIT, WRITE_BYTE, READ_BYTE, TRIPLET = 0xB4, 0x87, 0xA5, 0x96, 0x78
STATUS_POINTER, DATA_POINTER, CONFIGURATION_POINTER = 0xF0, 0xE1, 0xC3
PRESENCE, LOGIC_LEVEL, WAS_RESET, BIT, SECOND_BIT, TAKEN = 0x02, 0x08, 0x10, 0x20, 0x40, 0x80


@dataclass(slots=True)
class Ds2482:
    """The bridge; `present` False leaves it unacknowledged."""

    line: Line
    present: bool = True
    _pointer: int = field(default=STATUS_POINTER, init=False)
    _status: int = field(default=LOGIC_LEVEL | WAS_RESET, init=False)
    _data: int = field(default=0, init=False)
    _configuration: int = field(default=0, init=False)

    def read(self, count: int) -> bytes | None:
        """The register at the pointer, as often as it is asked for."""
        if not self.present:
            return None
        registers = {STATUS_POINTER: self._status, DATA_POINTER: self._data, CONFIGURATION_POINTER: self._configuration}
        return bytes((registers[self._pointer],)) * count

    def write(self, data: bytes) -> bool:
        """One command; one that the chip does not know is not acknowledged (the -800 has a channel, the -100 has not)."""
        if not self.present:
            return False
        parameter = data[1] if len(data) > 1 else 0
        match data[:1]:
            case b"\xf0":
                self._status, self._configuration, self._pointer = LOGIC_LEVEL | WAS_RESET, 0, STATUS_POINTER
            case b"\xe1" if parameter in {STATUS_POINTER, DATA_POINTER, CONFIGURATION_POINTER}:
                self._pointer = parameter
            case b"\xd2":
                if parameter & 0x0F != ~parameter >> 4 & 0x0F:
                    return False  # the upper half is the complement
                self._configuration, self._pointer = parameter & 0x0F, CONFIGURATION_POINTER
                self._status &= ~WAS_RESET
            case b"\xb4" | b"\x87" | b"\xa5" | b"\x96" | b"\x78":
                self._slots(data[0], parameter)
                self._pointer = STATUS_POINTER
            case b"":
                pass  # a bare address, as a scan sends
            case _:
                return False
        return True

    def _slots(self, command: int, parameter: int) -> None:
        line, first = self.line, parameter >> 7
        self._status &= ~(BIT | SECOND_BIT | TAKEN)
        if command == LINE_RESET:
            self._status = self._status & ~PRESENCE | PRESENCE * line.reset()
        elif command == SINGLE_BIT:
            self._status |= BIT * line.touch(first)
        elif command == WRITE_BYTE:
            line.write(parameter)
        elif command == READ_BYTE:
            self._data = line.read()
        else:
            bit, complement = line.touch(1), line.touch(1)
            # two slaves that differ: the parameter decides; nobody: 1, as nobody pulls the line low
            taken = first if bit == complement == 0 else bit
            line.touch(taken)
            self._status |= BIT * bit | SECOND_BIT * complement | TAKEN * taken
