"""What an uplink leaves behind when another takes its place, as at each reload and each new certificate: nothing."""

import gc
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from world.identities import authority
from world.server import Step, answer, serving

from agent.delivery import Verdict
from agent.uplink import Target, Uplink


@pytest.fixture(autouse=True)
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def contexts() -> set[int]:
    """The TLS contexts that are alive in this process."""
    return {id(each) for each in gc.get_objects() if isinstance(each, ssl.SSLContext)}


@pytest.mark.parametrize(("step", "verdict"), [(answer(201), Verdict.ACK), (answer(503), Verdict.RETRY)])
def test_an_uplink_leaves_no_context_to_the_collector(tmp_path: Path, step: Step, verdict: Verdict) -> None:
    with serving(tmp_path, step) as server:
        before = contexts()
        line = Uplink(Target(server.url, str(authority().certificate_file), 5.0), None)
        assert line.post(b"{}", key="rpi-1-7").verdict is verdict
        assert contexts() - before
        line.close()
        del line
        assert not contexts() - before
