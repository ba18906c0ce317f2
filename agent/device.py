"""What this board is called when the configuration does not say."""

import hashlib
import hmac
import re
from pathlib import Path
from typing import Final

from agent.errors import ConfigError

# the /sys path: /proc/device-tree is a link into it, and hidden under ProcSubset=pid
SERIAL_FILES: Final = ("sys/firmware/devicetree/base/serial-number", "proc/device-tree/serial-number")
MACHINE_ID: Final = re.compile(rb"[0-9a-f]{32}")  # machine-id(5)
APPLICATION: Final = b"sensor-agent device name"


def device_name(configured: str, root: Path = Path("/")) -> str:
    """The configured name, else `rpi-<serial>`, else `host-<hash of machine-id>`.

    The machine id itself is confidential (machine-id(5)), so it leaves the board as a keyed hash only.
    Raises ConfigError if there is neither.
    """
    if configured:
        return configured
    for file in SERIAL_FILES:
        try:
            serial = (root / file).read_bytes().rstrip(b"\0\n").decode("ascii").lower()
        except (OSError, UnicodeDecodeError):
            continue
        if serial.isalnum() and serial.strip("0"):  # boards without a serial number have one of zeros
            return f"rpi-{serial}"
    try:
        machine = (root / "etc/machine-id").read_bytes().strip()
    except OSError:
        machine = b""
    if not MACHINE_ID.fullmatch(machine):
        raise ConfigError(
            "device.name: is not set, and this board has neither a serial number nor a machine id",
            hint='set device.name = "…" in the configuration, or run systemd-machine-id-setup',
        )
    return "host-" + hmac.new(machine, APPLICATION, hashlib.sha256).hexdigest()[:16]
