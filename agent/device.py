"""What this board is called when the configuration does not say, and the ids that it is known by."""

import hashlib
import hmac
import re
from pathlib import Path
from typing import Final

from agent.binding import Board
from agent.errors import ConfigError

# the /sys path: /proc/device-tree is a link into it, and hidden under ProcSubset=pid
SERIAL_FILES: Final = ("sys/firmware/devicetree/base/serial-number", "proc/device-tree/serial-number")
MACHINE_ID: Final = re.compile(rb"[0-9a-f]{32}")  # machine-id(5)
APPLICATION: Final = b"sensor-agent device name"
CARD_FILE: Final = "sys/block/mmcblk0/device/cid"
BINDING: Final = b"sensor-agent board"


def device_name(configured: str, root: Path = Path("/")) -> str:
    """The configured name, else `rpi-<serial>`, else `host-<hash of machine-id>`.

    The machine id itself is confidential (machine-id(5)), so it leaves the board as a keyed hash only.
    Raises ConfigError if there is neither.
    """
    if configured:
        return configured
    serial = _serial(root)
    if serial:
        return f"rpi-{serial}"
    machine = _machine_id(root)
    if not machine:
        raise ConfigError(
            "device.name: is not set, and this board has neither a serial number nor a machine id",
            hint='set device.name = "…" in the configuration, or run systemd-machine-id-setup',
        )
    return "host-" + _hash(machine, APPLICATION)


def board(root: Path = Path("/")) -> Board:
    """The ids of this board, hashed so that none of them leaves it; without a machine id that ends with this boot."""
    try:
        card = (root / CARD_FILE).read_bytes().strip()
    except OSError:
        card = b""
    ids = _serial(root).encode(), card, b"" if _is_transient(root) else _machine_id(root)
    return Board(*(_hash(each, BINDING) if each else "" for each in ids))


def _serial(root: Path) -> str:
    for file in SERIAL_FILES:
        try:
            serial = (root / file).read_bytes().rstrip(b"\0\n").decode("ascii").lower()
        except (OSError, UnicodeDecodeError):
            continue
        if serial.isalnum() and serial.strip("0"):  # boards without a serial number have one of zeros
            return serial
    return ""


def _machine_id(root: Path) -> bytes:
    try:
        machine = (root / "etc/machine-id").read_bytes().strip()
    except OSError:
        return b""
    return machine if MACHINE_ID.fullmatch(machine) else b""


def _is_transient(root: Path) -> bool:
    """Whether systemd has mounted an id of this boot over the file, as on a read-only /etc (machine-id(5))."""
    try:
        return (root / "etc/machine-id").samefile(root / "run/machine-id")
    except OSError:
        return False


def _hash(secret: bytes, purpose: bytes) -> str:
    return hmac.new(secret, purpose, hashlib.sha256).hexdigest()[:16]
