"""What an errno of the I2C bus means, and the sentence that ends it. Pure: an OSError in, a SensorError out."""

import errno
from pathlib import Path
from typing import Final

from agent.errors import Absent, BusStuck, Misconfigured, SensorError, Unreadable

NACK: Final = {errno.EREMOTEIO, errno.ENXIO}  # bcm2835, designware, omap say the first; i2c-gpio, imx, rk3x the second
PASSING: Final = NACK | {errno.EAGAIN}  # busy converting, or another controller won the bus
REFUSED: Final = {errno.EACCES, errno.EPERM}
LET_IN: Final = "sudo usermod -aG i2c sensor-agent && sudo systemctl restart sensor-agent # or whoever runs this"
SWITCH_ON: Final = "sudo raspi-config nonint do_i2c 0 && sudo reboot # elsewhere: dtparam=i2c_arm=on in config.txt"
SWITCH_ON_OR_LOAD: Final = f"{SWITCH_ON}; if the bus is on: sudo modprobe i2c-dev"


def device_name(number: int, address: int) -> str:
    """What the kernel calls the device at that place: `1-0048`."""
    return f"{number}-{address:04x}"


def open_fault(error: OSError, path: Path, *, was_open: bool) -> SensorError:
    """Why the bus cannot be opened; one that was open before has gone and may come back."""
    where = f"{path} cannot be opened ({_said(error)})"
    if error.errno == errno.ENOENT and not was_open:
        return Misconfigured("no_bus", where, hint=SWITCH_ON_OR_LOAD)
    if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO}:
        return Absent("no_bus", where, hint="the bus has gone: is its adapter still plugged in?")
    if error.errno in REFUSED:
        return Misconfigured("no_permission", where, hint=LET_IN)
    return Unreadable("io", where)


def silent_fault(path: Path) -> SensorError:
    """An adapter that can do nothing at all: its driver asks it (i2c-tiny-usb does), and gives 0 when nothing comes back.

    Each question lasts until a timeout of the driver's, so no other is put within the tick.
    """
    where = f"{path}: the adapter does not answer (it says that it can do nothing, neither I2C nor SMBus)"
    return BusStuck("io", where, hint="unplug the adapter and plug it in again; sudo dmesg | tail")


def transfer_fault(error: OSError, number: int, address: int) -> SensorError:
    """Why a transfer with the chip at `address` of `i2c-<number>` failed."""
    bus = f"i2c-{number}"
    where = f"{address:#04x} on {bus}"
    if error.errno in NACK:
        hint = f"check wiring, power and `address`; what answers: i2cdetect -y -r {number}"
        return Absent("absent", f"nothing answers at {where} ({_said(error)})", hint=hint)
    if error.errno in {errno.ENODEV, errno.ESHUTDOWN}:
        return Absent("no_bus", f"{bus} has gone ({_said(error)})", hint="is its adapter still plugged in?")
    if error.errno == errno.ETIMEDOUT:
        # the Raspberry Pi 0 to 4 cannot clock a chip free, and user space cannot on any board
        hint = "power-cycle the sensor: one that holds the data line cannot be freed from here"
        return BusStuck("bus_stuck", f"{bus} is held, seen at {where} ({_said(error)})", hint=hint)
    if error.errno == errno.EBUSY:
        fix = f'if a kernel driver has it: driver = "kernel", device = "{device_name(number, address)}"'
        return Misconfigured("busy", f"{where} is in use ({_said(error)})", hint=fix)
    if error.errno in REFUSED:
        return Misconfigured("no_permission", f"{where} may not be used ({_said(error)})", hint=LET_IN)
    if error.errno == errno.EOPNOTSUPP:
        return Misconfigured("unsupported", f"{where}: the adapter refuses plain I2C transfers ({_said(error)})")
    return Unreadable("io", f"{where}: the transfer failed ({_said(error)})")


def _said(error: OSError) -> str:
    return f"errno {error.errno}, {error.strerror}"
