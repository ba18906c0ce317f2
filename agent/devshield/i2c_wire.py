"""An I2C bus played at the ioctl level, so that the real smbus2 runs above it.

A chip is a text file `dev/i2c-1.chips/48` (the address in hex) beside the bus's own `dev/i2c-1`. It is read at every
transfer: another process changes the temperature by writing the file. Its first word says how the chip is addressed:

    word     each pointer has bytes of its own: `00 1900`
    byte     one flat memory with auto-increment, keys say where bytes begin: `88 706b43…`
    command  a command, then a separate read: `2400 6666938000a2`
    error    every transfer fails with that errno: `110`
"""

import ctypes
import errno
import os
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from agent.devshield.onewire_tree import write_whole
from agent.record import dataclass

I2C_SLAVE, I2C_FUNCS, I2C_SLAVE_FORCE, I2C_RDWR, I2C_SMBUS = 0x0703, 0x0705, 0x0706, 0x0707, 0x0720  # linux/i2c-dev.h
FUNCTIONS: Final = 0x0EFF0009  # plain I2C and SMBus emulation, as i2c-bcm2835 says
I2C_M_RD: Final = 0x0001


@dataclass(frozen=True, slots=True)
class FakeChip:
    """What a chip's file says. `registers` are bytes as they travel, by pointer or command."""

    addressing: str
    registers: Mapping[bytes, bytes]
    error: int = 0

    def answer(self, written: bytes, length: int) -> bytes:
        """What a read of `length` bytes returns after `written` was written; an undriven line reads as ones."""
        if self.addressing == "byte":
            start = written[0] if written else 0
            return bytes(self._memory()[(start + offset) % 256] for offset in range(length))
        key = written[:1] if self.addressing == "word" else written
        return self.registers.get(key, b"")[:length].ljust(length, b"\xff")

    def _memory(self) -> bytearray:
        memory = bytearray(b"\xff" * 256)
        for key, data in self.registers.items():
            memory[key[0] : key[0] + len(data)] = data
        return memory


def chip_text(addressing: str, registers: Mapping[str, str]) -> str:
    """The text of a chip's file, from hex keys to hex bytes."""
    return "\n".join((addressing, *(f"{key} {data}" for key, data in registers.items()))) + "\n"


def parse_chip(text: str) -> FakeChip:
    """The chip that a file describes. Raises ValueError if it does not."""
    kind, *lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    if kind == "error":
        return FakeChip("error", {}, error=int(lines[0]))
    pairs = (line.split() for line in lines)
    return FakeChip(kind, {bytes.fromhex(key): bytes.fromhex(data) for key, data in pairs})


def add_bus(root: Path, number: int = 1) -> None:
    """The file that smbus2 opens as the bus, and an empty folder for its chips."""
    (root / "dev" / f"i2c-{number}.chips").mkdir(parents=True, exist_ok=True)
    bus = root / "dev" / f"i2c-{number}"
    bus.touch()
    bus.chmod(0o660)  # as udev makes it for the group i2c


def put_chip(root: Path, address: int, text: str, *, number: int = 1) -> None:
    """Put the chip on the bus, or change what it holds."""
    write_whole(root / "dev" / f"i2c-{number}.chips" / f"{address:02x}", text)


def remove_chip(root: Path, address: int, *, number: int = 1) -> None:
    """Take the chip off the bus: its address is not acknowledged any more."""
    (root / "dev" / f"i2c-{number}.chips" / f"{address:02x}").unlink()


class I2cWire:
    """Called as `ioctl(fd, request, arg)`; which bus is meant is asked of the open file.

    `writes` keeps what was written last, to which address.
    """

    def __init__(self) -> None:
        self.writes: deque[tuple[int, bytes]] = deque(maxlen=256)
        self._written: dict[tuple[str, int], bytes] = {}

    def __call__(self, fd: int, request: int, arg: Any, _mutate: bool = True) -> int:  # noqa: FBT001, FBT002 - ioctl's own signature
        if request == I2C_FUNCS:
            arg.value = FUNCTIONS
        elif request == I2C_RDWR:
            bus = str(Path(f"/proc/self/fd/{fd}").readlink())
            if bus.endswith(" (deleted)"):
                raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
            self._transfer(bus, [arg.msgs[each] for each in range(arg.nmsgs)])
            return int(arg.nmsgs)
        elif request in {I2C_SLAVE, I2C_SLAVE_FORCE, I2C_SMBUS}:
            raise OSError(errno.EBUSY, "only I2C_RDWR is spoken here: the others cache an address")
        else:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        return 0

    def _transfer(self, bus: str, messages: list[Any]) -> None:
        address = messages[0].addr
        shape = "".join("r" if message.flags & I2C_M_RD else "w" for message in messages)
        if shape not in {"w", "r", "wr"}:
            raise OSError(errno.EOPNOTSUPP, "i2c-bcm2835 does one write and one read, in that order")
        chip = self._chip(bus, address)
        for message in messages:
            if message.flags & I2C_M_RD:
                data = chip.answer(self._written.get((bus, address), b""), message.len)
                ctypes.memmove(message.buf, data, message.len)
            else:
                data = ctypes.string_at(message.buf, message.len)
                self._written[bus, address] = data
                self.writes.append((address, data))

    def _chip(self, bus: str, address: int) -> FakeChip:
        try:
            chip = parse_chip(Path(f"{bus}.chips/{address:02x}").read_text(encoding="ascii"))
        except FileNotFoundError:
            raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO)) from None
        if chip.error or not chip.registers:
            number = chip.error or errno.EREMOTEIO
            raise OSError(number, os.strerror(number))
        return chip


def install(wire: I2cWire) -> Callable[[], None]:
    """Put the wire under smbus2, whose one way out is this ioctl; gives what takes it out again."""
    from smbus2 import smbus2

    names = vars(smbus2)
    before = names["ioctl"]
    names["ioctl"] = wire
    return lambda: names.update(ioctl=before)
