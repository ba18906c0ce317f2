"""Chips that convert by themselves and keep the temperature as one big-endian word behind pointer 0."""

from collections.abc import Callable

from agent.errors import Unreadable
from agent.sensors.wire import Chip, Wire

_TEMPERATURE, _CONFIGURATION = 0x00, 0x01


def shifted(shift: int, per_degree: int) -> Callable[[bytes], float]:
    """Decoder of a two's complement word whose lowest `shift` bits are undefined."""
    return lambda word: (int.from_bytes(word, "big", signed=True) >> shift) / per_degree


def tmp102_celsius(word: bytes) -> float:
    """Bit 0 says whether the chip is in its extended, 13-bit mode (TMP102 datasheet, table 7-2)."""
    return shifted(3 if word[1] & 1 else 4, 16)(word)


def _read(decode: Callable[[bytes], float]) -> Callable[[Wire, bytes], float]:
    def read(wire: Wire, _calibration: bytes) -> float:
        word = wire.register(_TEMPERATURE, 2)
        # These chips have neither identity nor checksum, and all ones decodes to just below zero. Only a second
        # register tells a cold chip from a floating bus: no chip of the family has all configuration bits set.
        if word == b"\xff\xff" and wire.register(_CONFIGURATION, 1) == b"\xff":
            raise Unreadable("no_data", f"{wire.address:#04x} reads all ones: the bus floats", hint="check the wiring")
        return decode(word)

    return read


LINEAR = {
    "lm75": Chip(0x48, range(0x48, 0x50), (-55, 125), _read(shifted(7, 2))),
    "lm75b": Chip(0x48, range(0x48, 0x50), (-55, 125), _read(shifted(5, 8))),
    "tmp102": Chip(0x48, range(0x48, 0x4C), (-55, 150), _read(tmp102_celsius)),
    "ds1775": Chip(0x48, range(0x48, 0x50), (-55, 125), _read(shifted(4, 16))),
}
