"""Humidity chips that convert on command: SHT3x, STS3x, SHT4x, and the SHT2x line with its copies.

Only commands that let go of the bus are used: the ones that stretch the clock hang a Raspberry Pi's controller.
"""

from collections.abc import Callable

from agent.sensors.crc import verified
from agent.sensors.wire import Chip, Wire, no_preparation


def sht3x_celsius(word: bytes) -> float:
    """SHT3x datasheet, §4.13; SHT4x datasheet, §4.6."""
    return -45 + 175 * int.from_bytes(word, "big") / 65535


def sht2x_celsius(word: bytes) -> float:
    """HTU21D datasheet, "Conversion of signal outputs": the two lowest bits are status."""
    return -46.85 + 175.72 * (int.from_bytes(word, "big") & ~3) / 65536


def _words(seen: bytes) -> list[bytes]:
    """Two-byte words, each verified against the checksum that follows it."""
    return [verified(seen[at : at + 2], seen[at : at + 3]) for at in range(0, len(seen), 3)]


def _on_command(*command: int, seconds: float, length: int) -> Callable[[Wire, bytes], float]:
    def read(wire: Wire, _calibration: bytes) -> float:
        return sht3x_celsius(_words(wire.command(*command, seconds=seconds, length=length))[0])

    return read


def _sht2x(seconds: float) -> Callable[[Wire, bytes], float]:
    def read(wire: Wire, _calibration: bytes) -> float:
        seen = wire.command(0xF3, seconds=seconds, length=3)
        return sht2x_celsius(verified(seen[:2], seen, initial=0))

    return read


def _expect_si7021(wire: Wire) -> bytes:
    """The second half of the electronic serial number begins with the part's number (Si7021 datasheet, §5.4)."""
    wire.expect(0xFC, 0xC9, length=1, genuine=lambda seen: seen == b"\x15", what="si7021")
    return b""


_RATED = (-40.0, 125.0)

SENSIRION = {
    "sht3x": Chip(0x44, (0x44, 0x45), _RATED, _on_command(0x24, 0x00, seconds=0.016, length=6)),
    "sts3x": Chip(0x4A, (0x4A, 0x4B), _RATED, _on_command(0x24, 0x00, seconds=0.016, length=3)),
    "sht4x": Chip(0x44, (0x44, 0x45, 0x46), _RATED, _on_command(0xFD, seconds=0.009, length=6)),
    "htu21d": Chip(0x40, (0x40,), _RATED, _sht2x(0.050), no_preparation),
    "si7021": Chip(0x40, (0x40,), _RATED, _sht2x(0.012), _expect_si7021),
}
