"""`identity verify` asks the shield, and judges its answer as `check` does: the same line, and an exit code for scripts."""

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from world.enrollee import own_log
from world.patient import Patient
from world.server import Step, answer, close, raw

from agent import cli
from agent.checks import Check
from agent.devshield.i2c_wire import I2cWire, install
from agent.devshield.shield import Setup, Shield


@pytest.fixture(scope="module")
def shield(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shield]:
    take_out = install(I2cWire())
    with Shield(Setup(tmp_path_factory.mktemp("shield"), rule="strict")) as made:
        yield made
    take_out()


@pytest.fixture
def patient(tmp_path: Path, shield: Shield) -> Patient:
    return Patient(tmp_path / "device", shield)


def verify(patient: Patient) -> tuple[int, str, Check]:
    """Exit code, state, and the line about the shield."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), own_log():
        code = cli.main([f"--config={patient.config}", f"--root={patient.root}", "identity", "verify", "--json"])
    said: dict[str, Any] = json.loads(out.getvalue())
    return code, said["state"], Check(**said["checks"][-1])


NO_ENTRY = answer(403, b"mTLS required", "text/plain")
LISTED = b'{"error": "client_certificate_not_listed"}'
BOTS = answer(403, b"error code: 1020", "text/plain", cf_ray="8a1b2c3d4e5f6a7b-FRA")
PAGE = answer(200, b"<html>Welcome</html>", "text/html")


@pytest.mark.parametrize(
    ("with_pair", "code", "state", "saw"),
    [
        pytest.param(answer(200, b"[]"), 0, "active", "takes this device's certificate", id="taken"),
        pytest.param(answer(404), 0, "active", "a GET is answered with HTTP 404", id="no list there"),
        pytest.param(answer(503), 75, "unknown", "cannot answer now", id="busy"),
        pytest.param(close, 75, "unknown", "cannot answer now", id="hangs up"),
        pytest.param(PAGE, 75, "unknown", "a web page answers", id="portal"),
        pytest.param(answer(302, location="https://x.test/"), 75, "unknown", "sends us elsewhere", id="redirect"),
        pytest.param(NO_ENTRY, 77, "rejected", "as one without a certificate", id="revoked"),
        pytest.param(answer(403, LISTED), 77, "rejected", "it knows this certificate and refuses it", id="not listed"),
        pytest.param(BOTS, 77, "rejected", "by a rule that is not about certificates", id="another rule"),
    ],
)
def test_an_answer_means_what_check_says_it_means(
    patient: Patient, with_pair: Step, code: int, state: str, saw: str
) -> None:
    # check asks without the pair by GET and POST; verify only if it was refused, and after that
    with patient.facing(NO_ENTRY, NO_ENTRY, with_pair, with_pair, NO_ENTRY):
        (line,) = (each for each in patient.check() if each.name == "shield")
        assert verify(patient) == (code, state, line)
    assert saw in line.saw


def test_a_proxy_that_wants_a_password_says_nothing_of_the_pair(patient: Patient) -> None:
    with patient.facing(close, before_tls=raw(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as server:
        patient.values |= {"url": patient.shield.url, "proxy": f"http://127.0.0.1:{server.port}"}
        patient.check("--offline")  # writes the configuration
        code, state, _ = verify(patient)
    assert (code, state) == (75, "unknown")
