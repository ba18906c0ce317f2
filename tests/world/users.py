"""Another user, for the length of a test."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

NOBODY = 65534


def let_in(directory: Path) -> None:
    """Everybody into this directory and those above it, up to the system's for temporary files.

    pytest keeps the tree of its own to its user.
    """
    top = Path(tempfile.gettempdir())
    for each in (directory, *directory.parents):
        if top in each.parents:
            each.chmod(0o755)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """With the rights of `nobody`; skips the test if this is not root, who can become another."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
