"""Register chips that take more than reading a word: an identity, a ready flag, a conversion to start, a checksum."""

from collections.abc import Callable
from typing import Final

from agent.errors import Implausible, Unreadable
from agent.sensors.crc import SMBUS, verified
from agent.sensors.linear import shifted
from agent.sensors.wire import Chip, Wire


def _identity(pointer: int, length: int, genuine: Callable[[bytes], bool], what: str) -> Callable[[Wire], bytes]:
    def prepare(wire: Wire) -> bytes:
        wire.expect(pointer, length=length, genuine=genuine, what=what)
        return b""

    return prepare


def _read_tmp1075(wire: Wire, _calibration: bytes) -> float:
    return shifted(4, 16)(wire.register(0x00, 2))


def _read_tmp117(wire: Wire, _calibration: bytes) -> float:
    word = wire.register(0x00, 2)
    if word == b"\x80\x00":  # -256 °C: the value until the first conversion is done
        raise Unreadable("not_ready", "no conversion is done yet (reads 8000)")
    return shifted(0, 128)(word)


def _prepare_mcp9808(wire: Wire) -> bytes:
    wire.expect(0x06, length=2, genuine=lambda seen: seen == b"\x00\x54", what="mcp9808")
    wire.expect(0x07, length=2, genuine=lambda seen: seen[0] == 0x04, what="mcp9808")
    return b""


def mcp9808_celsius(word: bytes) -> float:
    """Thirteen bits; the upper three are alert flags (MCP9808 datasheet, register 5-4)."""
    return shifted(3, 16)((int.from_bytes(word, "big") << 3 & 0xFFFF).to_bytes(2, "big"))


def _read_adt74x0(wire: Wire, _calibration: bytes) -> float:
    # status first: reading the temperature makes the chip not ready for the next 240 ms
    wire.until(lambda: not wire.register(0x02, 1)[0] & 0x80, seconds=0.125, looks=3)
    sixteen_bits = wire.register(0x03, 1)[0] & 0x80
    word = wire.register(0x00, 2)
    return shifted(0, 128)(word) if sixteen_bits else shifted(3, 16)(word)  # else the low three are flags


def _prepare_hdc1080(wire: Wire) -> bytes:
    wire.expect(0xFE, length=2, genuine=lambda seen: seen == b"\x54\x49", what="hdc1080")
    wire.expect(0xFF, length=2, genuine=lambda seen: seen == b"\x10\x50", what="hdc1080")
    return b""


def _read_hdc1080(wire: Wire, _calibration: bytes) -> float:
    # after power-on it converts the humidity too, 6.35 and 6.5 ms, and acknowledges nothing meanwhile
    word = wire.command(0x00, seconds=0.015, length=2)
    return 165 * int.from_bytes(word, "big") / 65536 - 40


def _read_lps22(wire: Wire, _calibration: bytes) -> float:
    if not wire.register(0x10, 1)[0] & 0x70:  # powered down, as it is unless something else has set a rate
        wire.write(0x11, 0x11)  # one shot; bit 4 keeps the auto-increment that the next read needs
    wire.until(lambda: bool(wire.register(0x27, 1)[0] & 0x02), seconds=0.015, looks=4)
    return int.from_bytes(wire.register(0x2B, 2), "little", signed=True) / 100


def _read_mcp9600(wire: Wire, _calibration: bytes) -> float:
    if wire.register(0x04, 1)[0] & 0x10:
        raise Implausible("invalid", "the thermocouple is open or out of range", hint="check the thermocouple")
    return shifted(0, 16)(wire.register(0x00, 2))


def _read_ds1621(wire: Wire, _calibration: bytes) -> float:
    wire.write(0xEE)
    wire.pause(0.75)
    wire.until(lambda: bool(wire.register(0xAC, 1)[0] & 0x80), seconds=0.125, looks=3)
    if wire.register(0xAC, 1) == b"\xff":  # both alarms and a busy EEPROM at once: no chip, a line held high
        raise Unreadable("no_data", f"{wire.address:#04x} reads all ones", hint="check the wiring")
    return shifted(7, 2)(wire.register(0xAA, 2))


def _read_mlx90614(wire: Wire, _calibration: bytes) -> float:
    """The first object, in fiftieths of a kelvin (MLX90614 datasheet, §8.4), with its packet error code."""
    seen = wire.register(0x07, 3)
    sent = bytes((wire.address << 1, 0x07, wire.address << 1 | 1, *seen[:2]))
    verified(sent, seen, polynomial=SMBUS, initial=0)
    word = int.from_bytes(seen[:2], "little")
    if word & 0x8000:
        raise Implausible("invalid", f"the chip has set its error flag (got {seen.hex(' ')})")
    return word / 50 - 273.15


_ADT: Final = _identity(0x0B, 1, lambda seen: seen[0] >> 4 == 0xC, "adt7410 or adt7420")

REGISTERS = {
    "tmp1075": Chip(
        0x48,
        range(0x48, 0x78),
        (-55, 125),
        _read_tmp1075,
        _identity(0x0F, 2, lambda seen: seen == b"\x75\x00", "tmp1075 (a tmp1075n has no identity: use ds1775)"),
    ),
    "tmp117": Chip(
        0x48,
        range(0x48, 0x4C),
        (-55, 150),
        _read_tmp117,
        _identity(0x0F, 2, lambda seen: (seen[0] & 0x0F, seen[1]) == (0x01, 0x17), "tmp117"),
    ),
    "mcp9808": Chip(
        0x18,
        range(0x18, 0x20),
        (-40, 125),
        lambda wire, _: mcp9808_celsius(wire.register(0x05, 2)),
        _prepare_mcp9808,
    ),
    "adt7410": Chip(0x48, range(0x48, 0x4C), (-55, 150), _read_adt74x0, _ADT),
    "adt7420": Chip(0x48, range(0x48, 0x4C), (-40, 150), _read_adt74x0, _ADT),
    "hdc1080": Chip(0x40, (0x40,), (-40, 125), _read_hdc1080, _prepare_hdc1080),
    "lps22hb": Chip(
        0x5C,
        (0x5C, 0x5D),
        (-40, 85),
        _read_lps22,
        _identity(0x0F, 1, lambda seen: seen in {b"\xb1", b"\xb3", b"\xb4"}, "lps22hb, lps22hh or lps22df"),
    ),
    "mcp9600": Chip(
        0x67,
        range(0x60, 0x68),
        (-200, 1372),
        _read_mcp9600,
        _identity(0x20, 2, lambda seen: seen[0] in {0x40, 0x41}, "mcp9600 or mcp9601"),
    ),
    "ds1621": Chip(0x48, range(0x48, 0x50), (-55, 125), _read_ds1621),
    "mlx90614": Chip(0x5A, range(0x08, 0x78), (-70, 382.2), _read_mlx90614),
}
