"""The eight-bit checksums of I2C chips: most significant bit first, no reflection, nothing added at the end."""

from typing import Final

from agent.errors import Unreadable

SENSIRION: Final = 0x31  # x⁸+x⁵+x⁴+1
SMBUS: Final = 0x07  # x⁸+x²+x+1, the packet error code of SMBus 1.1


def crc8(data: bytes, *, polynomial: int = SENSIRION, initial: int = 0xFF) -> int:
    """The checksum of the data, 0…255. SHT3x datasheet, §4.12: BE EF gives 92."""
    crc = initial
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ polynomial if crc & 0x80 else crc << 1) & 0xFF
    return crc


def verified(data: bytes, seen: bytes, *, polynomial: int = SENSIRION, initial: int = 0xFF) -> bytes:
    """The data, if the last byte of `seen` is the checksum of it. Raises Unreadable otherwise."""
    expected = crc8(data, polynomial=polynomial, initial=initial)
    if seen[-1] != expected:
        raise Unreadable("crc", f"the checksum is {seen[-1]:02x} where {expected:02x} is right (got {seen.hex(' ')})")
    return data
