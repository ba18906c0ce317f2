"""Stand-ins for what `requests` imports and the uplink never calls; each becomes the real library when it is asked.

Detection of an unknown text's encoding (chardet or charset_normalizer, with tables for a dozen languages) and names
beyond ASCII (idna): 3.4 MiB and a tenth of the time to the first POST, on a board that reads answers as bytes.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

# by the name under which requests asks first: what may really be behind it
REAL: Final = {"chardet": ("chardet", "charset_normalizer"), "idna": ("idna",)}
ABSENT: Final = "charset_normalizer"  # else requests imports it beside chardet, to look at its version
VERSION: Final = "4.0.0"  # of chardet: within the bounds that every requests of our range checks at its import


class StandIn(ModuleType):
    """Named like a library, and that library from the first question on. Raises ImportError then if there is none."""

    __version__ = VERSION

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system's questions are about the stand-in
            raise AttributeError(name)
        return getattr(self._real(), name)

    def _real(self) -> ModuleType:
        *first, last = REAL[self.__name__]
        for candidate in first:
            try:
                return importlib.import_module(candidate)
            except ImportError:
                continue
        return importlib.import_module(last)


@contextmanager
def stand_ins() -> Iterator[None]:
    """Within it, requests may be imported; afterwards everyone who imports one of the libraries gets the real one.

    Does nothing if requests is there already, or one of them.
    """
    names = (*REAL, ABSENT)
    if "requests" in sys.modules or any(name in sys.modules for name in names):
        yield
        return
    placed: dict[str, Any] = {name: StandIn(name) for name in REAL} | {ABSENT: None}
    sys.modules.update(placed)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
