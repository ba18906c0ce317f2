"""In the guest, at boot: plug the played adapter in (`attach.py PORT`), and tell the kernel which chips have drivers.

What `usbip attach` does, without its package: import over TCP, then hand the socket to vhci-hcd.
"""

import re
import socket
import struct
import sys
import threading
from pathlib import Path

HOST = "10.0.2.2"  # QEMU's name for the host's loopback
VHCI = Path("/sys/devices/platform/vhci_hcd.0/attach")
ADAPTERS = Path("/sys/bus/i2c/devices")
DRIVERS = {"ds2482": 0x18, "lm75": 0x49}  # the other two chips are left to the agent
TRIES, PAUSE_SECONDS = 200, 0.05


def adapter() -> Path:
    """The played adapter, once it is there."""
    for _ in range(TRIES):
        for found in ADAPTERS.glob("i2c-*"):
            if re.match("i2c-tiny-usb", (found / "name").read_text()):
                return found
        threading.Event().wait(PAUSE_SECONDS)
    raise SystemExit("attach: no i2c-tiny-usb adapter has appeared; see dmesg")


def main(port: int) -> None:
    """Attach and bind."""
    connection = socket.create_connection((HOST, port), timeout=10)
    connection.sendall(struct.pack(">HHI32s", 0x0111, 0x8003, 0, b"1-1"))
    reply = connection.recv(8 + 312, socket.MSG_WAITALL)
    status, bus, device, speed = struct.unpack_from(">4xI288x3I", reply)
    if status:
        raise SystemExit(f"attach: refused with {status}")
    connection.settimeout(None)
    VHCI.write_text(f"0 {connection.fileno()} {bus << 16 | device} {speed}")
    for driver, address in DRIVERS.items():
        (adapter() / "new_device").write_text(f"{driver} {address:#x}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
