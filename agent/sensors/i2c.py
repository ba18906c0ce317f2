"""I2C through smbus2: the only module that opens a bus.

Only I2C_RDWR is used, and only as [write], [read] and [write, read]: the Raspberry Pi's controller does no other
shape, and the address travels in the message instead of being remembered between two calls.
"""

import errno
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.errors import Misconfigured
from agent.sensors import Wait
from agent.sensors.i2c_faults import PASSING, device_name, open_fault, silent_fault, transfer_fault
from agent.sensors.wire import Chip, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from smbus2 import SMBus, i2c_msg

DEVICES: Final = Path("sys/bus/i2c/devices")
TRIES: Final = 3
RETRY_SECONDS: Final = 0.01
_I2C: Final = 0x1  # I2C_FUNC_I2C of linux/i2c.h: without it there is no I2C_RDWR


def claimed_by(root: Path, number: int, address: int) -> str | None:
    """The kernel driver bound to the address, or None.

    I2C_RDWR lacks the guard that I2C_SLAVE has, so two masters of one chip would interleave unnoticed.
    """
    try:
        driver = (root / DEVICES / device_name(number, address) / "driver").readlink()
    except OSError:
        return None
    return driver.name


class I2cBus:
    """A Bus of this board, `/dev/i2c-<number>`; opened when first used and again after an error, closed with the
    last sensor that uses it. For one thread.
    """

    def __init__(self, number: int, *, root: Path, wait: Wait) -> None:
        self.number, self.root = number, root
        self.name = f"i2c-{number}"
        self._path = root / "dev" / self.name
        self._wait = wait
        self._smbus: SMBus | None = None
        self._was_open = False
        self._end: Callable[[], object] = lambda: None

    def write(self, address: int, data: bytes) -> None:
        """One message to the chip. Raises as the Bus protocol says."""
        from smbus2 import i2c_msg

        self._transfer(address, lambda: [i2c_msg.write(address, list(data))])

    def read(self, address: int, length: int) -> bytes:
        """One message from the chip. Raises as the Bus protocol says."""
        from smbus2 import i2c_msg

        return self._transfer(address, lambda: [i2c_msg.read(address, length)])

    def write_read(self, address: int, data: bytes, length: int) -> bytes:
        """Both with a repeated start between them. Raises as the Bus protocol says."""
        from smbus2 import i2c_msg

        return self._transfer(address, lambda: [i2c_msg.write(address, list(data)), i2c_msg.read(address, length)])

    def close(self) -> None:
        """Close the bus's file; the next transfer opens it again."""
        if self._smbus is not None:
            self._end()
            self._smbus = None

    def _transfer(self, address: int, messages: "Callable[[], list[i2c_msg]]") -> bytes:
        """The bytes of the last message. A NACK is tried again: a chip may be busy converting."""
        for attempt in range(TRIES):
            smbus = self._open()
            try:
                sent = messages()
                smbus.i2c_rdwr(*sent)
                return bytes(sent[-1])
            except OSError as error:
                if error.errno not in PASSING or attempt + 1 == TRIES or self._wait(RETRY_SECONDS):
                    self.close()  # an adapter that was plugged out and in again has another file behind the same name
                    if error.errno == errno.EOPNOTSUPP:
                        self._open()  # one that has stalled cannot say what it can do either, and that is raised instead
                    raise transfer_fault(error, self.number, address) from error
        raise AssertionError("unreachable")

    def _open(self) -> "SMBus":
        if self._smbus is not None:
            return self._smbus
        from smbus2 import SMBus

        smbus = SMBus()  # not SMBus(path): when the first ioctl fails in there, the file stays open for ever
        try:
            smbus.open(str(self._path))
        except OSError as error:
            smbus.close()
            raise open_fault(error, self._path, was_open=self._was_open) from error
        if not smbus.funcs:
            smbus.close()
            raise silent_fault(self._path)
        if not smbus.funcs & _I2C:
            smbus.close()
            raise Misconfigured("no_plain_i2c", f"{self._path} speaks SMBus only; this chip needs plain I2C")
        self._smbus, self._was_open = smbus, True
        # smbus2 leaves its file open when it goes: each reload would leave one of every bus
        self._end = weakref.finalize(self, smbus.close)
        return smbus


class I2cSensor:
    """One chip as a Sensor. What `prepare` found is kept until something goes wrong."""

    def __init__(self, chip: Chip, bus: I2cBus, address: int, *, wait: Wait) -> None:
        self._chip, self._bus = chip, bus
        self._wire = Wire(bus, address, wait)
        self._prepared: bytes | None = None

    @property
    def bus(self) -> str:
        """As `i2c-1`."""
        return self._bus.name

    @property
    def rated_celsius(self) -> tuple[float, float]:
        """The chip's rated range."""
        return self._chip.rated_celsius

    def read(self) -> float:
        """Degrees Celsius. Raises SensorError; Misconfigured if a kernel driver has the chip."""
        self._refuse_claimed()
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            prepared = self._chip.prepare(self._wire)
        celsius = self._chip.read(self._wire, prepared)
        low, high = self._chip.rated_celsius
        if low <= celsius <= high:  # else the calibration words may be garbled, and are read again
            self._prepared = prepared
        return celsius

    def _refuse_claimed(self) -> None:
        number, address = self._bus.number, self._wire.address
        driver = claimed_by(self._bus.root, number, address)
        if driver is not None:
            fix = f'use driver = "kernel", device = "{device_name(number, address)}"'
            raise Misconfigured(
                "claimed", f"{address:#04x} on i2c-{number} is claimed by kernel driver {driver!r}; {fix}"
            )
