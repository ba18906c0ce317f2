"""Modules in the place of others, while a library is imported that names them and never uses them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def standing_in(*modules: ModuleType) -> Iterator[None]:
    """Within it each stands in the place of the module of its name, unless that is there already; afterwards everyone
    who imports that gets the real one.
    """
    placed = {module.__name__: module for module in modules if module.__name__ not in sys.modules}
    sys.modules.update(placed)
    try:
        yield
    finally:
        for name in placed:
            del sys.modules[name]
