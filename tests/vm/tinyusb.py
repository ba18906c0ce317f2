"""An i2c-tiny-usb adapter: USB control transfers in, messages on an I2C bus out.

Codes and descriptors are those of the kernel's drivers/i2c/busses/i2c-tiny-usb.c and of chapter 9 of USB 1.1.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

VENDOR, PRODUCT = 0x0403, 0xC631
ECHO, GET_FUNCTIONS, SET_DELAY, GET_STATUS, I2C_IO = 0, 1, 2, 3, 4
I2C_IO_LAST: Final = I2C_IO + 3  # with flags for begin and end
IDLE, ACKNOWLEDGED, NOT_ACKNOWLEDGED = 0, 1, 2
READ: Final = 0x0001  # I2C_M_RD
FUNCTIONS: Final = 0x0EFF_0001  # I2C_FUNC_I2C and what the core emulates with it
GET_DESCRIPTOR, DEVICE, CONFIGURATION, STRING = 6, 1, 2, 3
TYPE_MASK, VENDOR_TYPE = 0x60, 0x40
EPIPE: Final = 32  # what a refused control transfer is to the host

DEVICE_DESCRIPTOR: Final = struct.pack(
    "<BBHBBBBHHHBBBB", 18, 1, 0x0110, 0xFF, 0, 0, 8, VENDOR, PRODUCT, 0x0100, 1, 2, 0, 1
)
CONFIGURATION_DESCRIPTOR: Final = struct.pack("<BBHBBBBB", 9, 2, 18, 1, 1, 0, 0x80, 50) + bytes(
    (9, 4, 0, 0, 0, 0xFF, 0, 0, 0)
)
STRINGS: Final = ("", "sensor-agent", "played i2c-tiny-usb")


class Chip(Protocol):
    """Something at an address of the bus."""

    def write(self, data: bytes) -> bool:
        """Take a message; False for a byte that is not acknowledged."""
        ...

    def read(self, count: int) -> bytes | None:
        """So many bytes, or None if the address is not acknowledged."""
        ...


@dataclass(slots=True)
class TinyUsb:
    """The adapter with the chips of its bus, by address; chips may be taken out and put in while it runs."""

    chips: Mapping[int, Chip]
    vendor: int = field(default=VENDOR, init=False)
    product: int = field(default=PRODUCT, init=False)
    _status: int = field(default=IDLE, init=False)

    def control(self, setup: bytes, data: bytes) -> bytes | int:
        """See usbip.Device."""
        kind, request, value, index, length = struct.unpack("<BBHHH", setup)
        if kind & TYPE_MASK == VENDOR_TYPE:
            return self._adapter(request, value, index, length, data)
        if request == GET_DESCRIPTOR:
            return descriptor(value)
        return b""  # SET_CONFIGURATION, SET_INTERFACE

    def _adapter(self, request: int, value: int, index: int, length: int, data: bytes) -> bytes | int:
        if request == ECHO:
            return struct.pack("<H", value)
        if request == GET_FUNCTIONS:
            return struct.pack("<I", FUNCTIONS)
        if request == SET_DELAY:
            return b""
        if request == GET_STATUS:
            return bytes((self._status,))
        if I2C_IO <= request <= I2C_IO_LAST:
            return self._message(index, data, length if value & READ else None)
        return -EPIPE

    def _message(self, address: int, data: bytes, count: int | None) -> bytes:
        """One message; the host reads afterwards, in the status, whether it was acknowledged."""
        chip = self.chips.get(address)
        answer = None
        if chip is not None and count is not None:
            answer = chip.read(count)
        elif chip is not None and chip.write(data):
            answer = b""
        self._status = NOT_ACKNOWLEDGED if answer is None else ACKNOWLEDGED
        return bytes(count or 0) if answer is None else answer


def descriptor(value: int) -> bytes | int:
    """The descriptor of that type and number, -EPIPE if there is none."""
    kind, number = value >> 8, value & 0xFF
    if kind == DEVICE:
        return DEVICE_DESCRIPTOR
    if kind == CONFIGURATION:
        return CONFIGURATION_DESCRIPTOR
    if kind == STRING and number < len(STRINGS):
        text = STRINGS[number].encode("utf-16-le") if number else struct.pack("<H", 0x0409)
        return bytes((len(text) + 2, STRING)) + text
    return -EPIPE
