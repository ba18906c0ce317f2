"""What a zone holds beside its certificates: the hosts that ask for one, and the rules of its custom firewall.

One JSON file, written whole. Nothing here reaches the development shield's edge, whose rule is an option.
"""

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

Fields = dict[str, Any]


class ZoneState:
    """The hosts and rulesets of one directory; `now` gives UNIX seconds. For any thread."""

    def __init__(self, directory: Path, *, now: Callable[[], float]) -> None:
        self._file: Final = directory / "zone.json"
        self._now = now
        self._lock = threading.Lock()

    @contextmanager
    def changing(self) -> Iterator[Fields]:
        """`hostnames` and `rulesets`, kept as they are left."""
        with self._lock:
            fields = self._read()
            yield fields
            beside = self._file.with_suffix(".new")
            beside.write_text(json.dumps(fields, indent=1))
            beside.replace(self._file)

    def look(self) -> Fields:
        """`hostnames` and `rulesets` as they are now."""
        with self._lock:
            return self._read()

    def _read(self) -> Fields:
        if not self._file.exists():
            return {"hostnames": [], "rulesets": []}
        fields: Fields = json.loads(self._file.read_bytes())
        return fields

    def stamp(self, fields: Fields, *, version: int = 1) -> Fields:
        """The same with a version and the time of the change."""
        return {**fields, "version": str(version), "last_updated": f"{datetime.fromtimestamp(self._now(), UTC):%FT%TZ}"}


def new_id() -> str:
    """32 hex digits, as rulesets and rules have."""
    return secrets.token_hex(16)
