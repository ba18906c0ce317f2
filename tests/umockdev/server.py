"""A board of umockdev: 1-Wire files and an I2C bus whose chips are played here. For Debian's Python, which has gi.

Run by umockdev-wrapper. Prints the directory of the board, then takes one JSON object a line and answers each with `ok`.
"""

import errno
import json
import os
import struct
import sys
from pathlib import Path
from typing import Any

import gi

gi.require_version("UMockdev", "1.0")
from gi.repository import GLib, UMockdev  # noqa: E402 - the version has to be asked for first

I2C_FUNCS, I2C_RDWR, I2C_M_RD = 0x705, 0x707, 1  # linux/i2c-dev.h, linux/i2c.h
I2C_SLAVE, I2C_SLAVE_FORCE, I2C_SMBUS = 0x703, 0x706, 0x720
NOBODY = 65534
BUS = "/dev/i2c-1"
DEVICE = """P: /devices/platform/i2c-1/i2c-dev/i2c-1
N: i2c-1
E: DEVNAME=/dev/i2c-1
E: SUBSYSTEM=i2c-dev
A: dev=89:1\\n

"""


class Board:
    """Chips by address: bytes by pointer, or the errno of every transfer with one."""

    def __init__(self) -> None:
        self.testbed = UMockdev.Testbed.new()
        self.chips: dict[int, Any] = {}
        self.pointers: dict[int, bytes] = {}
        self.refused = 0  # ioctls that an agent must not use
        self.testbed.add_from_string(DEVICE)
        self.handler = UMockdev.IoctlBase.new()
        self.handler.connect("handle-ioctl", self.ioctl)
        self.testbed.attach_ioctl(BUS, self.handler)

    def ioctl(self, _handler: Any, client: Any) -> bool:
        """One ioctl of the agent on the bus."""
        request, argument = client.get_request(), client.get_arg()
        if request == I2C_FUNCS:
            argument.resolve(0, 8).update(0, struct.pack("Q", 0x0EFF0009))
            client.complete(0, 0)
        elif request == I2C_RDWR:
            head = argument.resolve(0, 16)
            count = struct.unpack_from("I", bytes(head.retrieve()), 8)[0]
            messages = head.resolve(0, 16 * count)
            wrong = self.transfer(messages, count)
            client.complete(-1 if wrong else count, wrong)
        else:
            if request in {I2C_SLAVE, I2C_SLAVE_FORCE, I2C_SMBUS}:
                self.refused += 1
            client.complete(-1, errno.ENOTTY)
        return True

    def transfer(self, messages: Any, count: int) -> int:
        """Play the messages; gives 0 or an errno."""
        raw = bytes(messages.retrieve())
        for each in range(count):
            address, flags, length = struct.unpack_from("HHH", raw, 16 * each)
            chip = self.chips.get(address, errno.EREMOTEIO)
            if isinstance(chip, int):
                return chip
            buffer = messages.resolve(16 * each + 8, length)
            if flags & I2C_M_RD:
                data = bytes.fromhex(chip.get(self.pointers[address].hex(), ""))
                buffer.update(0, data[:length].ljust(length, b"\xff"))
            else:
                self.pointers[address] = bytes(buffer.retrieve())[:length]
        return 0

    def do(self, order: dict[str, Any]) -> str:
        """One order; gives the answer."""
        match order:
            case {"add": text}:
                self.testbed.add_from_string(text)
            case {"remove": path}:
                self.testbed.remove_device(path)
            case {"set": [path, attribute, text]}:
                self.testbed.set_attribute(path, attribute, text)
            case {"chip": address, "is": registers}:
                self.chips[address] = registers
            case {"gone": address}:
                del self.chips[address]
            case {"mode": mode}:
                Path(self.testbed.get_root_dir(), "dev/i2c-1").chmod(mode)
            case {"refused": _}:
                return str(self.refused)
            case _:
                return "what?"
        return "ok"


def main() -> None:
    board = Board()
    root = Path(board.testbed.get_root_dir())
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():  # for an agent that is nobody
            path.chmod(0o666 if path.is_file() else 0o777)
    (root / "dev/i2c-1").chmod(0o660)  # of the terminal that stands behind it
    os.chown(root / "dev/i2c-1", 0, NOBODY)
    sys.stdout.write(f"{root}\n")
    sys.stdout.flush()
    loop = GLib.MainLoop()

    def order(_source: int, _condition: Any) -> bool:
        line = sys.stdin.readline()
        if not line:
            loop.quit()
            return False
        sys.stdout.write(board.do(json.loads(line)) + "\n")
        sys.stdout.flush()
        return True

    GLib.io_add_watch(sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IOCondition.IN | GLib.IOCondition.HUP, order)
    loop.run()


if __name__ == "__main__":
    os.umask(0)
    main()
