"""A stand-in for what urllib3 imports and the uplink never calls.

From 2.3 on its HTTP/2, which nobody switches on, imports `importlib.metadata` for the number of a version, and that
brings zipfile, csv, tempfile and importlib.resources: 0.9 MiB that a board would keep for nothing.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

METADATA: Final = "importlib.metadata"


def _version(name: str) -> str:
    from importlib.metadata import version

    return version(name)


@contextmanager
def stand_ins() -> Iterator[None]:
    """Within it, urllib3 may be imported; afterwards everyone who imports the library gets the real one.

    Does nothing if it is there already.
    """
    if METADATA in sys.modules:
        yield
        return
    placed: Any = ModuleType(METADATA)
    placed.version = _version
    sys.modules[METADATA] = placed
    try:
        yield
    finally:
        del sys.modules[METADATA]
