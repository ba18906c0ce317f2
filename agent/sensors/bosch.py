"""BMP180, BMP280 and BME280: a raw count that means nothing without the chip's own calibration words.

A brown-out shows as calibration words of all zeros or all ones, which would still give a number: they are refused.
"""

import struct
from collections.abc import Callable
from typing import Final

from agent.errors import Unreadable
from agent.sensors.wire import Chip, Wire

_ID: Final = 0xD0
_SKIPPED: Final = 0x80000  # what the temperature reads when it was not measured


def bmp180_celsius(count: int, calibration: bytes) -> float:
    """Tenths of a degree by the integer algorithm of the BMP180 datasheet, §3.5. `calibration` is AA…BF.

    Raises Unreadable where the words make it divide by zero.
    """
    words: tuple[int, ...] = struct.unpack(">hhhHHHhhhhh", calibration)
    ac5, ac6, mc, md = words[4], words[5], words[9], words[10]
    x1 = (count - ac6) * ac5 >> 15
    if x1 + md == 0:
        raise Unreadable("bad_calibration", f"the calibration words divide by zero (got {calibration.hex(' ')})")
    x2 = int(mc * 2048 / (x1 + md))  # C's division, which the datasheet means, rounds towards zero
    return (x1 + x2 + 8 >> 4) / 10


def bmp280_celsius(count: int, calibration: bytes) -> float:
    """Hundredths of a degree by the integer algorithm of the BMP280 datasheet, §3.11.3. `calibration` is 88…8D."""
    words: tuple[int, int, int] = struct.unpack("<Hhh", calibration)
    t1, t2, t3 = words
    first = ((count >> 3) - (t1 << 1)) * t2 >> 11
    square = (count >> 4) - t1
    second = (square * square >> 12) * t3 >> 14
    return ((first + second) * 5 + 128 >> 8) / 100


def _calibration(wire: Wire, pointer: int, length: int, *, bad: Callable[[set[bytes]], bool]) -> bytes:
    seen = wire.register(pointer, length)
    words = {seen[at : at + 2] for at in range(0, length, 2)}
    if bad(words):
        raise Unreadable("bad_calibration", f"the calibration words are not the chip's (got {seen.hex(' ')})")
    return seen


def _prepare_bmp180(wire: Wire) -> bytes:
    wire.expect(_ID, length=1, genuine=lambda seen: seen == b"\x55", what="bmp180")
    # datasheet, §3.4: no word may be 0 or FFFF
    return _calibration(wire, 0xAA, 22, bad=lambda words: bool(words & {b"\x00\x00", b"\xff\xff"}))


def _read_bmp180(wire: Wire, calibration: bytes) -> float:
    wire.write(0xF4, 0x2E)
    wire.pause(0.005)
    wire.until(lambda: not wire.register(0xF4, 1)[0] & 0x20, seconds=0.005, looks=3)
    return bmp180_celsius(int.from_bytes(wire.register(0xF6, 2), "big"), calibration)


def _prepare_bmp280(identity: bytes, what: str) -> Callable[[Wire], bytes]:
    def prepare(wire: Wire) -> bytes:
        wire.expect(_ID, length=1, genuine=lambda seen: seen == identity, what=what)
        words = _calibration(wire, 0x88, 6, bad=lambda words: words <= {b"\x00\x00"} or words <= {b"\xff\xff"})
        _convert_bmp280(wire)  # the first conversion after power-on can be wrong, and is thrown away
        return words

    return prepare


def _convert_bmp280(wire: Wire) -> None:
    """One forced conversion of the temperature alone, without oversampling: 7 ms at most."""
    wire.write(0xF4, 0x21)
    wire.pause(0.010)
    wire.until(lambda: not wire.register(0xF3, 1)[0] & 0x08, seconds=0.005, looks=3)


def _read_bmp280(wire: Wire, calibration: bytes) -> float:
    _convert_bmp280(wire)
    count = int.from_bytes(wire.register(0xFA, 3), "big") >> 4
    if count == _SKIPPED:
        raise Unreadable("not_ready", "the chip has skipped the temperature (reads 80000)")
    return bmp280_celsius(count, calibration)


BOSCH = {
    "bmp180": Chip(0x77, (0x77,), (-40, 85), _read_bmp180, _prepare_bmp180),
    "bmp280": Chip(0x76, (0x76, 0x77), (-40, 85), _read_bmp280, _prepare_bmp280(b"\x58", "bmp280")),
    "bme280": Chip(0x76, (0x76, 0x77), (-40, 85), _read_bmp280, _prepare_bmp280(b"\x60", "bme280")),
}
