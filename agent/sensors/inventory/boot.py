"""What a Raspberry Pi's config.txt switches on: the reason why a bus is missing, and the place to mend it."""

import re
from pathlib import Path
from typing import Final

FILES: Final = ("boot/firmware/config.txt", "boot/config.txt")  # Bookworm and later; before
ONE_WIRE: Final = "dtoverlay=w1-gpio"
I2C: Final = "dtparam=i2c_arm=on"
_SAYS: Final = {
    ONE_WIRE: re.compile(r"dtoverlay=w1-gpio(-pi5|-pullup)?(-pi5)?([,:].*)?"),
    I2C: re.compile(r"dtparam=(.*,)?i2c(_arm|1)?(=(on|true|yes|1))?(,.*)?|dtoverlay=i2c[0-9].*|dtoverlay=i2c-gpio.*"),
}


def config_txt(root: Path) -> Path | None:
    """The file that the firmware reads, or None on a board that has none."""
    return next((root / file for file in FILES if (root / file).is_file()), None)


def switched_on(file: Path, line: str) -> bool:
    """Whether the file has that line in one of its spellings, not commented out; sections for other models count."""
    return any(_SAYS[line].fullmatch(each.strip()) for each in file.read_text(errors="replace").splitlines())


def why_off(root: Path, line: str, *, bus: str, seen: str, switch_on: str) -> tuple[str, str]:
    """Why a bus is off of which `seen` is missing, and what switches it on."""
    file = config_txt(root)
    if file is None:
        return f"{bus} is off (no {seen})", f"{switch_on}; only if there is a sensor on it"
    if switched_on(file, line):
        what = f"{bus} is off (no {seen}) although /{file.relative_to(root)} has {line}"
        return what, "sudo reboot # still off: is that line below a [section] for another model?"
    what = f"{bus} is off (no {seen}): /{file.relative_to(root)} lacks {line}"
    return what, f"{switch_on}; only if there is a sensor on it"
