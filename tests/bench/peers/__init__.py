"""What the agent is measured beside: a module for each, with NAME, JOB, DURABLE, NEEDS, `found` and `command`.

NAME is the row's; JOB what it can do of reading, keeping and posting; DURABLE what is left of a reading that was taken
when the power goes before it is delivered; NEEDS the command that installs it. `found()` says whether it is installed,
and `command(place)` writes its configuration and gives what to start.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """A board with DS18B20s under `root`, and where to send: files of the mutual TLS, `interval` between ticks in seconds.

    `feed` is a file to which a line is appended for each reading, for what cannot read sensors; `broker` is the port of
    an MQTT broker without TLS, for what cannot post.
    """

    directory: Path
    root: Path
    sensors: tuple[str, ...]
    url: str
    ca_file: str
    certificate: str
    key: str
    interval: float
    feed: Path
    broker: int

    def slave(self, sensor: str) -> Path:
        """The kernel's file of the sensor."""
        return self.root / "sys/bus/w1/devices" / sensor / "w1_slave"
