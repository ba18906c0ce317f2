"""A stand-in for what urllib3 imports and the uplink never calls.

From 2.3 on its HTTP/2, which nobody switches on, imports `importlib.metadata` for the number of a version, and that
brings zipfile, csv, tempfile and importlib.resources: 0.9 MiB that a board would keep for nothing.
"""

from types import ModuleType
from typing import Any


def metadata() -> ModuleType:
    """In the place of `importlib.metadata`; imports the real one when it is called."""
    made: Any = ModuleType("importlib.metadata")
    made.version = _version
    return made  # type: ignore[no-any-return]


def _version(name: str) -> str:
    from importlib.metadata import version

    return version(name)
