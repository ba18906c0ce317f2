"""`enroll` as it is typed: what it is not given, what it may not see, and what it says of the renewal."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from world.enrollee import Api, Enrollee
from world.est import est_server
from world.identities import authority
from world.odd_requests import ODD_CERTIFICATE
from world.users import as_nobody, let_in


@pytest.fixture
def device(tmp_path: Path) -> Enrollee:
    """A board that was never enrolled."""
    return Enrollee(tmp_path / "device")


@pytest.fixture
def closed_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python leaves it for a process that was started with `<&-`."""
    monkeypatch.setattr(sys, "stdin", None)


@pytest.mark.usefixtures("closed_stdin")
@pytest.mark.parametrize(("command", "code"), [(("enroll", "--token-stdin"), 77), (("identity", "import", "-"), 65)])
def test_a_closed_standard_input_holds_nothing(device: Enrollee, command: tuple[str, ...], code: int) -> None:
    assert device(*command).code == code


def test_a_rehearsal_by_somebody_who_may_not_look_says_to_be_root(device: Enrollee) -> None:
    ca_file = device.directory / "ca.pem"
    shutil.copy(authority().certificate_file, ca_file)
    with device.asking(Api(), ca_file=ca_file):
        assert device("enroll").code == 0
        let_in(device.directory)
        device.key.parent.chmod(0o710)
        with as_nobody():
            done = device("enroll", "--dry-run")
    assert (done.code, "run as root" in done.said) == (73, True)


def test_a_token_of_another_user_is_named_to_a_root_without_rights_beyond_its_own(device: Enrollee) -> None:
    setpriv = shutil.which("setpriv")
    if os.geteuid() or not setpriv:
        pytest.skip("needs root and setpriv, to run as the unit does")
    os.chown(device.token, 4711, 4711)
    as_the_unit = [setpriv, "--bounding-set=-all", "--inh-caps=-all"]
    words = [sys.executable, "-m", "agent", f"--config={device.config}", f"--root={device.root}", "enroll"]
    done = subprocess.run([*as_the_unit, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, f"next: sudo chown root: {device.token}" in done.stderr) == (77, True), done.stderr


def test_a_certificate_that_nobody_can_read_is_unusable_each_time_and_never_in_force(device: Enrollee) -> None:
    api = Api(sign=lambda _: ODD_CERTIFICATE)
    with device.asking(api):
        for _ in range(2):
            done = device("enroll")
            assert (done.code, "cannot be read" in done.said) == (65, True), done.said
        api.sign = authority().sign
        assert device("enroll").code == 0


def test_a_certificate_of_another_issuer_than_the_configured_one_is_not_said_to_renew(
    device: Enrollee, tmp_path: Path
) -> None:
    with est_server(tmp_path / "est", passwords={"sensor-001": "once"}) as server:
        device.configure(url=server.url)
        device.token.write_text("sensor-001:once\n")
        done = device("enroll", "--issuer", "est")
    assert (done.code, done.answer["issuer"], done.answer["can_renew"]) == (0, "est", False)
    assert 'set enroll.issuer = "est"' in device("enroll", "--issuer", "est", as_json=False).said
