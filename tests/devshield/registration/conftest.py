"""A registration authority in front of a development shield."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.devshield.certificates_api import ZONE_ID
from agent.devshield.registration.office import RegistrationAuthority, Setup, Zone
from agent.devshield.registration.policy import Policy
from agent.devshield.shield import Shield

NAMES = ("sensor-*.devices.example.com",)
MakeOffice = Callable[..., RegistrationAuthority]


@pytest.fixture
def make_office(shield: Shield, tmp_path: Path) -> Iterator[MakeOffice]:
    """An authority that signs with the shield's zone; with `own=True` with an authority of its own."""
    with ExitStack() as undo:

        def make(
            *, approve: bool = False, own: bool = False, now: Callable[[], float] = time.time
        ) -> RegistrationAuthority:
            zone = Zone(shield.api_url, ZONE_ID, str(shield.tokens.zone_file), str(shield.ca_file))
            setup = Setup(
                tmp_path / "office",
                Policy(NAMES, 30),
                zone=None if own else zone,
                approve=approve,
                retry_seconds=1,
                approval_seconds=2,
            )
            return undo.enter_context(RegistrationAuthority(setup, now=now))

        yield make


@pytest.fixture
def office(make_office: MakeOffice) -> RegistrationAuthority:
    """One that approves by the token alone."""
    return make_office()
