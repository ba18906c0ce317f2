"""A 1-Wire bus of DS18B20s, slot by slot: presence, ROM commands, search, conversion, scratchpad.

After the DS18B20 datasheet. The master's slots are `reset` and `touch`; a slave pulls the line low or lets it be, so that
the bus reads the AND of all.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

Fault = Literal["", "gone", "crc", "85", "zeros"]

SEARCH_ROM, MATCH_ROM, SKIP_ROM, READ_ROM = 0xF0, 0x55, 0xCC, 0x33
CONVERT, READ_SCRATCHPAD, WRITE_SCRATCHPAD, READ_POWER = 0x44, 0xBE, 0x4E, 0xB4
CONVERSION_SECONDS: Final = 0.75
FAMILY: Final = 0x28
POWER_ON: Final = bytes((0x50, 0x05, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10))  # 85 °C


def crc8(data: bytes) -> int:
    """x⁸+x⁵+x⁴+1 as the shift register of Maxim's application note 27 has it, bit by bit."""
    register = 0
    for bit in bits(data):
        feedback = register & 1 ^ bit
        register = register >> 1 ^ 0x8C * feedback
    return register


def bits(data: bytes) -> list[int]:
    """As they travel: the lowest first."""
    return [byte >> place & 1 for byte in data for place in range(8)]


def rom(serial: int) -> bytes:
    """Family, 48 bits of serial number, checksum."""
    body = bytes((FAMILY,)) + serial.to_bytes(6, "little")
    return body + bytes((crc8(body),))


def kernel_name(rom: bytes) -> str:
    """What w1 calls it: `28-00000586475d`."""
    return f"{rom[0]:02x}-{int.from_bytes(rom[1:7], 'little'):012x}"


@dataclass(slots=True)
class Ds18b20:
    """One slave; `celsius` is what it would measure, `fault` what is wrong with it. `now` gives seconds."""

    rom: bytes
    celsius: float
    now: Callable[[], float]
    fault: Fault = ""
    _scratchpad: bytes = field(default=POWER_ON, init=False)
    _done: float | None = field(default=None, init=False)
    _say: deque[int] = field(default_factory=deque, init=False)
    _heard: list[int] = field(default_factory=list, init=False)
    _wanted: int = field(default=0, init=False)
    _then: Callable[[bytes], None] | None = field(default=None, init=False)
    _search: int = field(default=0, init=False)

    def reset(self) -> bool:
        """Whether it answers with a presence pulse."""
        self._say.clear()
        self._hear(8, self._rom_command)
        return self.fault != "gone"

    def touch(self, bit: int) -> int:
        """One slot: a 1 lets the slave speak."""
        if self.fault == "gone":
            return 1
        if self._say:
            return self._say.popleft() & bit
        if self._then is not None:
            self._heard.append(bit)
            if len(self._heard) == self._wanted:
                then, heard, self._then = self._then, self._heard, None
                then(bytes(sum(b << i for i, b in enumerate(heard[at : at + 8])) for at in range(0, len(heard), 8)))
        return bit

    def _hear(self, count: int, then: Callable[[bytes], None] | None) -> None:
        self._heard, self._wanted, self._then = [], count, then

    def _rom_command(self, said: bytes) -> None:
        command = said[0]
        if command == MATCH_ROM:
            self._hear(64, lambda wanted: self._selected() if wanted == self.rom else None)
        elif command == SKIP_ROM:
            self._selected()
        elif command == READ_ROM:
            self._say.extend(bits(self.rom))
            self._selected()
        elif command == SEARCH_ROM:
            self._search = 0
            self._offer()

    def _offer(self) -> None:
        """A bit of the search: itself, its complement, and the master's choice."""
        if self._search < 64:
            bit = bits(self.rom)[self._search]
            self._say.extend((bit, 1 - bit))
            self._hear(1, lambda chosen: self._go_on(same=chosen[0] == bit))

    def _go_on(self, *, same: bool) -> None:
        if same:
            self._search += 1
            self._offer()

    def _selected(self) -> None:
        self._hear(8, self._function)

    def _function(self, said: bytes) -> None:
        command = said[0]
        if command == CONVERT:
            self._done = self.now() + CONVERSION_SECONDS
        elif command == READ_SCRATCHPAD:
            self._say.extend(bits(self._nine()))
        elif command == WRITE_SCRATCHPAD:
            self._hear(24, self._configure)
        elif command == READ_POWER:
            self._say.extend([1] * 8)  # powered from outside

    def _configure(self, three: bytes) -> None:
        self._scratchpad = self._scratchpad[:2] + three + self._scratchpad[5:]

    def _nine(self) -> bytes:
        if self._done is not None and self.now() >= self._done:
            self._done = None
            raw = round(self.celsius * 16) & 0xFFFF
            self._scratchpad = raw.to_bytes(2, "little") + self._scratchpad[2:6] + b"\x10" + self._scratchpad[7:]
        eight = POWER_ON if self.fault == "85" else self._scratchpad
        if self.fault == "zeros":
            return bytes(9)
        return eight + bytes((crc8(eight) ^ (0x01 if self.fault == "crc" else 0),))


@dataclass(slots=True)
class Line:
    """The bus."""

    slaves: Sequence[Ds18b20]

    def reset(self) -> bool:
        """Whether any slave answers."""
        answers = [slave.reset() for slave in self.slaves]  # all of them, also behind one that answers
        return any(answers)

    def touch(self, bit: int) -> int:
        """One slot."""
        return min([bit, *(slave.touch(bit) for slave in self.slaves)])

    def write(self, byte: int) -> None:
        """Eight slots."""
        for bit in bits(bytes((byte,))):
            self.touch(bit)

    def read(self) -> int:
        """Eight slots that let the slaves speak."""
        return sum(self.touch(1) << place for place in range(8))
