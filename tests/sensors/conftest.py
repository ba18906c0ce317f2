"""A board in a folder, with the real smbus2 on top of a played I2C bus."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.devshield.i2c_wire import I2cWire, add_bus, install


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The board's root: an I2C bus without chips, and nothing else."""
    add_bus(tmp_path)
    return tmp_path


@pytest.fixture
def wire() -> Iterator[I2cWire]:
    """The played bus under smbus2, while the test runs."""
    played = I2cWire()
    take_out = install(played)
    yield played
    take_out()
