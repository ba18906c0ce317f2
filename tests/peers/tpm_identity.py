"""An identity whose key never leaves a TPM: brought in, looked at, shown to a server, and never replaced by a file.

Run by `make tpm`, which plays the TPM; only OpenSSL with its provider can open such a key file.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from world.enrollee import CONFIG, NAME
from world.identities import authority
from world.server import answer, serving

ENVIRON = {**os.environ, "OPENSSL_CONF": os.environ["TPM_OPENSSL_CONF"]}


def openssl(*words: str, tpm: bool = True) -> None:
    environ = ENVIRON if tpm else os.environ
    done = subprocess.run(["openssl", *words], env=environ, check=False, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr


class Device:
    """A board with such a key; `run` is the agent in a process of its own, where OpenSSL has the provider."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key, self.cert = directory / "tpm-key.pem", directory / "tpm-cert.pem"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "group:P-256", "-out", str(self.key))
        openssl("req", "-new", "-key", str(self.key), "-subj", f"/CN={NAME}", "-out", str(directory / "csr.pem"))
        # the provider writes a NULL beside the signature's name, which cryptography refuses and openssl does not
        sign = ["x509", "-req", "-days", "365", "-in", str(directory / "csr.pem"), "-out", str(self.cert)]
        openssl(*sign, "-CA", str(authority().certificate_file), "-CAkey", str(authority().key_file), tpm=False)
        self.configure("https://127.0.0.1:9/temps")

    def configure(self, shield: str) -> None:
        more = 'renew_url = "https://127.0.0.1:9"'
        text = CONFIG.format(
            name=NAME,
            shield=shield,
            ca_file=authority().certificate_file,
            directory=self.directory,
            issuer="cloudflare",
            url="https://127.0.0.1:9",
            zone_id="",
            more=more,
        )
        (self.directory / "config.toml").write_text(text)

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "agent", "--config", str(self.directory / "config.toml"), *words]
        return subprocess.run(command, env=ENVIRON, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """With its pair brought in."""
    made = Device(tmp_path)
    assert b"BEGIN TSS2 PRIVATE KEY" in made.key.read_bytes()
    done = made.run("identity", "import", str(made.cert), "--key", str(made.key))
    assert done.returncode == 0, done.stderr
    return made


def test_the_pair_is_shown_to_a_server_that_wants_a_certificate(device: Device, tmp_path: Path) -> None:
    with serving(tmp_path, answer(200, b"[]"), client_ca=True) as server:
        device.configure(server.url)
        done = device.run("identity", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(server.seen) == 1


def test_the_agent_works_with_it_and_leaves_the_file_alone(device: Device) -> None:
    kept = device.directory / "private" / "sensor-key.pem"
    before = kept.read_bytes()
    assert device.run("identity", "show").returncode == 0
    assert "not due before" in device.run("renew").stderr
    assert "already enrolled" in device.run("enroll").stderr
    refused = device.run("renew", "--force")
    assert (refused.returncode, "TPM" in refused.stderr) == (77, True), refused.stderr
    assert kept.read_bytes() == before == device.key.read_bytes()


def test_another_certificate_is_not_taken_for_its_own(device: Device) -> None:
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "group:P-256", "-out", str(device.directory / "other.pem"))
    done = device.run("identity", "import", str(device.cert), "--key", str(device.directory / "other.pem"))
    assert (done.returncode, "none of the certificates" in done.stderr) == (65, True), done.stderr


def test_without_the_provider_it_is_told_that_openssl_cannot_open_it(device: Device) -> None:
    plain = {name: value for name, value in os.environ.items() if name != "OPENSSL_CONF"}
    command = [sys.executable, "-m", "agent", "--config", str(device.directory / "config.toml")]
    done = subprocess.run(
        [*command, "identity", "verify", "--offline"], env=plain, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "do not load" in done.stdout) == (78, True), done.stdout
