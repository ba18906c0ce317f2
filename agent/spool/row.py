"""What the spool keeps of a reading, and the checksum that a damaged row fails."""

import zlib

from agent.reading import Reading
from agent.record import dataclass


@dataclass(frozen=True, slots=True)
class Spooled:
    """A reading and its number, which is never used again, not even after the spool was emptied."""

    seq: int
    reading: Reading


@dataclass(frozen=True, slots=True)
class Row:
    """`boot` 0: `seconds` is UTC; else it counts from the start of that boot (table `boot`), and the row is held."""

    seq: int
    sensor: str
    seconds: int
    milli: int
    boot: int
    crc: int

    @staticmethod
    def make(seq: int, reading: Reading, *, boot: int = 0) -> "Row":
        """The row of a reading, with its checksum."""
        crc = checksum(seq, reading.sensor, reading.unix_seconds, reading.milli_celsius, boot)
        return Row(seq, reading.sensor, reading.unix_seconds, reading.milli_celsius, boot, crc)

    @property
    def intact(self) -> bool:
        """Whether the row still says what was written."""
        return self.crc == checksum(self.seq, self.sensor, self.seconds, self.milli, self.boot)

    def spooled(self) -> Spooled:
        """The reading in this row; raises ValueError if it is none (a damaged row)."""
        return Spooled(self.seq, Reading(self.sensor, self.milli, self.seconds))


def checksum(seq: int, sensor: str, seconds: int, milli: int, boot: int) -> int:
    """CRC-32 of what the row means, the sensor by its name: a damaged table of names is noticed too."""
    return zlib.crc32(f"{seq},{seconds},{milli},{boot},{sensor}".encode())
