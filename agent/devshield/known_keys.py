"""The idempotency keys that each device has used, each with the reading under it: a line in a file that outlives a restart.

A spool that was lost or restored numbers anew, so a key is known only together with its reading (time, temperature, sensor).
"""

import json
from pathlib import Path
from typing import Any

from agent.devshield.extended_reading import seconds_of


class KnownKeys:
    """All keys of one directory. Not locked: whoever asks and then stores holds a lock over both."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._of: dict[str, set[str]] = {}

    def has(self, device: str, key: str, reading: dict[str, Any]) -> bool:
        """Whether that device has sent the reading under the key."""
        return _line(key, reading) in self._lines(device)

    def add(self, device: str, key: str, reading: dict[str, Any]) -> None:
        """Remember them; in the file when this returns."""
        line = _line(key, reading)
        self._lines(device).add(line)
        with self._file(device).open("a", encoding="ascii") as stream:
            stream.write(f"{line}\n")

    def _lines(self, device: str) -> set[str]:
        if device not in self._of:
            file = self._file(device)
            self._of[device] = set(file.read_text(encoding="ascii").splitlines()) if file.exists() else set()
        return self._of[device]

    def _file(self, device: str) -> Path:
        return self._directory / f"keys-{device}.txt"


def _line(key: str, reading: dict[str, Any]) -> str:
    """By what is meant: "21.50" is 21.5, and -0 is 0."""
    celsius = float(reading["temperature"]) + 0.0
    return json.dumps([key, seconds_of(reading["time"]), celsius, reading.get("sensor")])
