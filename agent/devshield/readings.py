"""The Worker's KV namespace: one value for each source address, one JSON file for each value.

A value is `{"temperatures":[…]}` as in KV; a reading is added in place, so that the ten-thousandth costs what
the first did. KV's two limits are here: a value's size, and, when asked for, one write a second to a key.
"""

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from agent.devshield import javascript
from agent.devshield.worker import EMPTY

VALUE_BYTES: Final = 25 << 20
WRITE_SECONDS: Final = 1.0  # documented: one write a second to the same key
TOO_MANY: Final = "Error: KV PUT failed: 429 Too Many Requests"
TOO_LARGE: Final = "Error: KV PUT failed: 413 Payload Too Large"


class Readings:
    """All addresses of one directory; `monotonic` is in seconds. For any thread."""

    def __init__(self, directory: Path, *, monotonic: Callable[[], float]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._lists: dict[str, list[dict[str, Any]]] = {}
        self._written: dict[str, float] = {}
        for file in directory.glob("data-*.json"):
            self._lists[file.stem.removeprefix("data-")] = json.loads(file.read_bytes(), parse_int=float)[
                "temperatures"
            ]

    def of(self, address: str) -> Sequence[dict[str, Any]] | None:
        """The address's readings in the order of their arrival; None if it never posted."""
        with self._lock:
            readings = self._lists.get(address)
            return None if readings is None else list(readings)

    def meet(self, address: str) -> None:
        """Write an empty list for an address that has none: the Worker does so before it reads the body."""
        with self._lock:
            if address not in self._lists:
                self._file(address).write_text(EMPTY)
                self._lists[address] = []
                self._written[address] = self._monotonic()

    def add(self, address: str, reading: dict[str, Any], *, limited: bool) -> str:
        """Store a reading of an address that was met; KV's refusal, or '' when it is stored."""
        text = javascript.stringify(reading).encode("utf-8", "replace")
        with self._lock:
            now = self._monotonic()
            if limited and now - self._written.get(address, float("-inf")) < WRITE_SECONDS:
                return TOO_MANY
            with self._file(address).open("r+b") as file:
                if file.seek(-2, 2) + len(text) + 3 > VALUE_BYTES:
                    return TOO_LARGE
                file.write((b"," if self._lists[address] else b"") + text + b"]}")
            self._lists[address].append(reading)
            self._written[address] = now
        return ""

    def _file(self, address: str) -> Path:
        return self._directory / f"data-{address}.json"
