"""A root directory with the ids of a board."""

from pathlib import Path


def put_board(root: Path, *, serial: str = "", card: str = "", machine: str = "") -> Path:
    """Write those that are given where the kernel and systemd have them; gives the root."""
    files = {
        "sys/firmware/devicetree/base/serial-number": serial and serial + "\0",
        "sys/block/mmcblk0/device/cid": card and card + "\n",
        "etc/machine-id": machine and machine + "\n",
    }
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if not text:
            file.unlink()
    return root
