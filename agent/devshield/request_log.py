"""Every request to the shield as one line of JSON, so that a test can count what arrived, and how often."""

import json
import threading
from pathlib import Path
from typing import Any, Final


class RequestLog:
    """The lines of one file, in the order of the answers. For any thread."""

    def __init__(self, file: Path) -> None:
        self.file: Final = file
        self._lock = threading.Lock()

    def add(self, row: dict[str, Any]) -> None:
        """Write a line; it is in the file when this returns."""
        line = json.dumps(row) + "\n"
        with self._lock, self.file.open("a", encoding="utf-8") as stream:
            stream.write(line)

    def rows(self) -> list[dict[str, Any]]:
        """All lines so far."""
        with self._lock:
            text = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
        return [json.loads(line) for line in text.splitlines()]
