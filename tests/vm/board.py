"""The board that the guest finds on its USB port: an I2C adapter with four chips, one of them a bridge to two DS18B20s.

Temperatures and faults are attributes, to be changed while the guest runs.
"""

import time
from dataclasses import dataclass, field
from typing import Final

from vm.chips import Lm75, Mcp9808
from vm.ds2482 import Ds2482
from vm.onewire import Ds18b20, Line, kernel_name, rom
from vm.tinyusb import Chip, TinyUsb
from vm.usbip import Server

BRIDGE, ROOM, SHELF, OUTSIDE = 0x18, 0x48, 0x49, 0x1F
FREEZER_ROM: Final = rom(0x0000_0586_475D)
CELLAR_ROM: Final = rom(0x0317_9012_ABCD)
FREEZER, CELLAR = kernel_name(FREEZER_ROM), kernel_name(CELLAR_ROM)


@dataclass(slots=True)
class Board:
    """Everything soldered; `usb` lends it."""

    room: Lm75 = field(default_factory=lambda: Lm75(21.5))
    shelf: Lm75 = field(default_factory=lambda: Lm75(-12.5))
    outside: Mcp9808 = field(default_factory=lambda: Mcp9808(-7.0625))
    freezer: Ds18b20 = field(default_factory=lambda: Ds18b20(FREEZER_ROM, -18.0625, time.monotonic))
    cellar: Ds18b20 = field(default_factory=lambda: Ds18b20(CELLAR_ROM, 11.25, time.monotonic))
    bridge: Ds2482 = field(init=False)
    usb: Server = field(init=False)

    def __post_init__(self) -> None:
        self.bridge = Ds2482(Line((self.freezer, self.cellar)))
        chips: dict[int, Chip] = {BRIDGE: self.bridge, ROOM: self.room, SHELF: self.shelf, OUTSIDE: self.outside}
        self.usb = Server(TinyUsb(chips))
