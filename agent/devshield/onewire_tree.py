"""A 1-Wire bus that is nothing but files, in the form that the kernel's w1_therm driver gives them.

Below the root it looks like /sys does: whoever reads it cannot tell, and another process may change it meanwhile.
"""

import os
from pathlib import Path
from typing import Final

DEVICES: Final = Path("sys/bus/w1/devices")
MASTER: Final = "w1_bus_master1"
DS18S20: Final = "10"


def crc8(data: bytes) -> int:
    """Checksum as the chip computes it (Maxim application note 27)."""
    register = 0
    for byte in data:
        for place in range(8):
            feedback = (register ^ byte >> place) & 1
            register = (register >> 1) ^ (0x8C if feedback else 0)
    return register


def scratchpad(celsius: float, *, family: str = "28") -> bytes:
    """The nine bytes that a chip of the family holds after a conversion, to the nearest step it can express."""
    if family == DS18S20:
        sixteenths = round(celsius * 16)
        halves, remain = (sixteenths + 4) // 16 * 2, 16 - (sixteenths + 4) % 16
        data = halves.to_bytes(2, "little", signed=True) + bytes.fromhex("4b46ffff") + bytes((remain, 16))
    else:
        raw = round(celsius * 16)
        data = raw.to_bytes(2, "little", signed=True) + bytes.fromhex("4b467fff") + bytes((16 - raw % 16, 0x10))
    return data + bytes((crc8(data),))


def frame_text(frame: bytes) -> str:
    """What `w1_slave` says of nine bytes, whatever they are; `t=` is as wrong as the kernel's is."""
    verdict = "YES" if crc8(frame[:8]) == frame[8] else "NO"
    milli = int.from_bytes(frame[:2], "little", signed=True) * 1000 // 16
    return f"{frame.hex(' ')} : crc={crc8(frame[:8]):02x} {verdict}\n{frame.hex(' ')} t={milli}\n"


class OneWireTree:
    """The files of one bus master. Ids are as the kernel writes them: `28-00000586475d`."""

    def __init__(self, root: Path, *, master: str = MASTER) -> None:
        self._links = root / DEVICES
        self._master = root / "sys/devices" / master
        self._master.mkdir(parents=True, exist_ok=True)
        self._links.mkdir(parents=True, exist_ok=True)
        self._link(self._master)

    def add(self, sensor_id: str, celsius: float = 20.0) -> None:
        """Hang a sensor on the bus."""
        (self._master / sensor_id).mkdir(exist_ok=True)
        self.set(sensor_id, celsius)
        self._link(self._master / sensor_id)

    def remove(self, sensor_id: str) -> None:
        """Take a sensor off, as the kernel does after ten searches without it."""
        (self._links / sensor_id).unlink()
        for file in (self._master / sensor_id).iterdir():
            file.unlink()
        (self._master / sensor_id).rmdir()

    def set(self, sensor_id: str, celsius: float) -> None:
        """What the sensor measures from now on."""
        self.frame(sensor_id, scratchpad(celsius, family=sensor_id[:2]))

    def frame(self, sensor_id: str, nine_bytes: bytes) -> None:
        """Let the sensor answer with any nine bytes."""
        self.text(sensor_id, frame_text(nine_bytes))

    def empty(self, sensor_id: str) -> None:
        """A failed read, as Linux 6.1 shows it."""
        self.text(sensor_id, "")

    def shorted(self, sensor_id: str) -> None:
        """The data line held low: nine zero bytes, whose checksum is right."""
        self.frame(sensor_id, bytes(9))

    def text(self, sensor_id: str, text: str) -> None:
        """The whole file, replaced in one step so that no reader sees half of it."""
        write_whole(self._master / sensor_id / "w1_slave", text)

    def hang(self, sensor_id: str) -> Path:
        """Let a read block in the kernel; gives the pipe, and whoever opens it for writing lets go."""
        pipe = self._master / sensor_id / "w1_slave"
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        return pipe

    def _link(self, target: Path) -> None:
        link = self._links / target.name
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(target, self._links))


def write_whole(path: Path, text: str) -> None:
    """Write the file so that a reader in another process sees the old text or the new one."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="ascii")
    fresh.replace(path)
