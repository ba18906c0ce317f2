"""The DS18B20 and its relatives: nine scratchpad bytes in, degrees Celsius out.

Only the raw bytes are believed. The kernel's own numbers report a bus shorted to ground as a valid 0 °C,
because the checksum of nine zero bytes is zero.
"""

import re
from collections.abc import Mapping
from typing import Final

from agent.errors import Implausible, Unreadable

FAMILIES: Final[Mapping[str, int]] = {
    "ds18b20": 0x28,
    "ds18s20": 0x10,
    "ds1822": 0x22,
    "ds1825": 0x3B,  # the MAX31850 answers to this family too
    "ds28ea00": 0x42,
}
RATED_CELSIUS: Final = (-55.0, 125.0)

POWER_ON_CELSIUS: Final = 85.0
_POWER_ON_RESERVED: Final = 0x0C  # byte 6 after power-on; 0x10 after a true conversion to 85.0
_INSUFFICIENT_POWER: Final = 0x07FF  # 127.94 °C: the supply broke down during the conversion

_NINE: Final = rb"((?:[0-9a-f]{2} ){9})"
_FRAME: Final = re.compile(_NINE + rb": crc=[0-9a-f]{2} (YES|NO)\n" + _NINE + rb"t=-?[0-9]+\n?")


def crc8(data: bytes) -> int:
    """Checksum of the 1-Wire bus: x⁸+x⁵+x⁴+1, least significant bit first, initial 0 (Maxim application note 27).

    Over data and its own checksum it is 0.
    """
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


def scratchpad(text: bytes) -> bytes:
    """The nine bytes of a `w1_slave` file (first line: as they were just read), checksum verified by decode.

    Raises Unreadable if the file is empty, cut off, or says NO.
    """
    if not text:
        # how Linux 6.1 reports every failure: checksum wrong five times, no presence pulse, interrupted
        raise Unreadable("no_data", "the kernel got no frame from the sensor", hint="check the wiring and the pull-up")
    frame = _FRAME.fullmatch(text)
    if frame is None:
        raise Unreadable("malformed", f"w1_slave does not hold two lines of nine bytes (got {text[:40]!r})")
    if frame[2] == b"NO":
        raise Unreadable("crc", f"the kernel saw a wrong checksum (got {frame[1].decode().strip()})")
    return bytes.fromhex(frame[1].decode())


def decode(scratchpad: bytes, family: int) -> float:
    """Degrees Celsius from the scratchpad of a chip of that family code (DS18B20 datasheet, "Memory").

    Raises Unreadable if the checksum is wrong or a byte is impossible, Implausible if the bytes are sound but no
    measurement: bus shorted, supply too weak, power-on value (85.0, which some clones also give for a true 85.0),
    broken thermocouple.
    """
    seen = scratchpad.hex(" ")
    if len(scratchpad) != 9:
        raise Unreadable("malformed", f"a scratchpad has nine bytes (got {len(scratchpad)}: {seen})")
    if not any(scratchpad):
        raise Implausible("bus_shorted", "nine zero bytes: the data line is held low", hint="check wiring and pull-up")
    if crc8(scratchpad):
        raise Unreadable("crc", f"the checksum of the scratchpad is wrong (got {seen})")
    raw = int.from_bytes(scratchpad[:2], "little", signed=True)
    if raw == _INSUFFICIENT_POWER:
        raise Implausible(
            "insufficient_power", f"127.94 °C means a failed conversion (got {seen})", hint="check the sensor's supply"
        )
    celsius = _ds18s20(scratchpad, raw) if family == FAMILIES["ds18s20"] else _twelve_bit(scratchpad, raw, family)
    if celsius == POWER_ON_CELSIUS and scratchpad[6] == _POWER_ON_RESERVED:
        raise Implausible(
            "power_on_reset", f"85.0 °C as after power-on, without a conversion (got {seen})", hint="check its supply"
        )
    return celsius


def _ds18s20(scratchpad: bytes, raw: int) -> float:
    """The extended resolution of the DS18S20 datasheet: half degrees, refined by the two counters."""
    remain, per_degree = scratchpad[6], scratchpad[7]
    if per_degree == 0 or remain > per_degree:
        raise Unreadable("malformed", f"count {remain} of {per_degree} a degree (got {scratchpad.hex(' ')})")
    return (raw >> 1) - 0.25 + (per_degree - remain) / per_degree


def _twelve_bit(scratchpad: bytes, raw: int, family: int) -> float:
    """Sixteenths of a degree; the bits below the configured resolution are undefined and dropped."""
    configuration = scratchpad[4]
    if family == FAMILIES["ds1825"] and configuration & 0x80:  # a MAX31850: thermocouple, quarters of a degree
        if raw & 1:
            raise Implausible("invalid", f"the thermocouple is open or shorted (got {scratchpad.hex(' ')})")
        return (raw >> 2) / 4
    undefined = 3 - (configuration >> 5 & 3)
    return (raw >> undefined << undefined) / 16
