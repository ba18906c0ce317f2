"""A shield on loopback with a device that it knows."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from world.visitors import Pair, pair

from agent.devshield.authority import Authority
from agent.devshield.shield import Setup, Shield


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One for the whole run."""
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def device(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Pair:
    """Certificate and key of a device that the authority signed."""
    return pair(tmp_path_factory.mktemp("device"), "p256", authority)


@pytest.fixture
def home(tmp_path: Path, authority: Authority) -> Path:
    """A shield's directory, with the authority of this run in it."""
    for file in (authority.certificate_file, authority.key_file):
        shutil.copy(file, tmp_path)
    return tmp_path


@pytest.fixture
def shield(home: Path) -> Iterator[Shield]:
    """A shield under the strict rule, without faults."""
    with Shield(Setup(home, rule="strict")) as made:
        yield made
