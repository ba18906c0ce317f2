"""Fixtures that more than one test file needs: pieces of the world that must be taken down again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from world.disk import Disk, mounted


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A file system of 4 MiB of its own, to be filled up; needs root."""
    with mounted(tmp_path / "disk", size=4 << 20) as made:
        yield made
