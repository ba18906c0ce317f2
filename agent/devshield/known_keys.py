"""The idempotency keys that each device has used, a line each in a file of its own: they outlive a restart."""

import json
from pathlib import Path


class KnownKeys:
    """All keys of one directory. Not locked: whoever asks and then stores holds a lock over both."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._of: dict[str, set[str]] = {}

    def has(self, device: str, key: str) -> bool:
        """Whether that device has used the key."""
        return key in self._keys(device)

    def add(self, device: str, key: str) -> None:
        """Remember it; in the file when this returns."""
        self._keys(device).add(key)
        with self._file(device).open("a", encoding="ascii") as stream:
            stream.write(json.dumps(key) + "\n")

    def _keys(self, device: str) -> set[str]:
        if device not in self._of:
            file = self._file(device)
            lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
            self._of[device] = {json.loads(line) for line in lines}
        return self._of[device]

    def _file(self, device: str) -> Path:
        return self._directory / f"keys-{device}.txt"
