"""Bundles for phones, browsers and Java, opened by openssl and used at a shield."""

import argparse
import contextlib
import http.client
import json
import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from world.identities import authority, put_pair

from agent import pem, pkcs12
from agent.cli import bundle
from agent.devshield.shield import Setup, Shield
from agent.errors import AgentError, CannotWrite, ConfigError, Refused

NAME = "sensor-001.devices.example.com"
PASSWORD = "correct horse ~"
CONFIG = """
[uplink]
url = "{shield}"
ca_file = "{ca_file}"
[identity]
cert_file = "{directory}/sensor.pem"
key_file = "{directory}/sensor-key.pem"
[enroll]
url = "{api}"
zone_id = "{zone_id}"
token_file = "{token_file}"
[[sensors]]
name = "pretended"
driver = "simulated"
"""


@pytest.fixture
def shield(tmp_path: Path) -> Iterator[Shield]:
    """A shield whose zone signs new readers; the device's own pair is of the tests' authority."""
    with Shield(Setup(tmp_path / "shield", rule="strict")) as made:
        put_pair(tmp_path)
        (tmp_path / "config.toml").write_text(CONFIG.format(directory=tmp_path, **made.where))
        (tmp_path / "password").write_text(f"{PASSWORD}\nsecond line\n")
        yield made


@pytest.fixture
def home(shield: Shield, tmp_path: Path) -> Path:
    """The directory with the device's pair, its configuration and a password, beside a shield that runs."""
    del shield
    return tmp_path


def run(directory: Path, *words: str, out: str = "reader.p12") -> Path:
    """`bundle` with the password file; gives the bundle."""
    top = argparse.ArgumentParser()
    top.add_argument("--config", type=Path)
    common = argparse.ArgumentParser(add_help=False)
    bundle.add_to(top.add_subparsers(), common)
    file = directory / out
    command = [f"--config={directory}/config.toml", "bundle", str(file), f"--password-file={directory}/password"]
    args = top.parse_args([*command, *words])
    assert args.handler(args) == 0
    return file


def openssl(file: Path, *words: str, password: str = PASSWORD) -> "subprocess.CompletedProcess[str]":
    """`openssl pkcs12` on the bundle."""
    command = ["openssl", "pkcs12", "-in", str(file), "-passin", f"pass:{password}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_bundle_of_this_device_holds_its_certificate_and_key(home: Path) -> None:
    file = run(home)
    opened = openssl(file, "-nodes").stdout

    assert f"friendlyName: {NAME}" in opened
    assert pem.extract_certificate(opened) == (home / "sensor.pem").read_bytes()
    assert (home / "sensor-key.pem").read_text() in opened
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ([], ["MAC: sha256", "PBES2, PBKDF2, AES-256-CBC"]),
        (["--legacy"], ["MAC: sha1", "pbeWithSHA1And3-KeyTripleDES-CBC"]),
    ],
)
def test_bundle_is_encrypted_as_new_and_as_old_phones_take_it(home: Path, flag: list[str], says: list[str]) -> None:
    told = openssl(run(home, *flag), "-info", "-noout").stderr

    assert all(word in told for word in says), told
    assert ("AES" in told, "3-Key" in told) == (not flag, bool(flag))


def test_bundle_does_not_open_without_its_password(home: Path) -> None:
    file = run(home)

    assert openssl(file, "-nodes", password="").returncode != 0
    assert openssl(file, "-nodes", password="correct horse -").returncode != 0


def test_new_reader_is_enrolled_on_the_spot_and_may_read(shield: Shield, tmp_path: Path) -> None:
    file = run(tmp_path, "--name=ios-bootstrap", "--legacy")
    opened = tmp_path / "opened.pem"
    opened.write_text(openssl(file, "-nodes").stdout)
    context = ssl.create_default_context(cafile=str(shield.ca_file))
    context.load_cert_chain(opened)
    to = http.client.HTTPSConnection("127.0.0.1", shield.port, context=context, timeout=10)
    to.request("GET", "/temps")
    answer = to.getresponse()

    assert (answer.status, json.loads(answer.read())) == (200, {"temperatures": []})
    assert [issue.fields["common_name"] for issue in shield.issued.all()] == ["ios-bootstrap"]
    to.close()


def test_new_reader_leaves_nothing_behind_but_the_file(home: Path) -> None:
    before = {file for file in home.rglob("*") if "shield" not in file.parts}

    file = run(home, "--name=ios-bootstrap")

    after = {found for found in home.rglob("*") if found.relative_to(home).parts[0] != "shield"}
    assert after - before == {file}


def test_lost_answer_for_a_new_reader_is_looked_for_and_not_asked_again(shield: Shield, tmp_path: Path) -> None:
    shield.faults.put("api", ["lost*1"])

    run(tmp_path, "--name=ios-bootstrap")

    assert len(shield.issued.all()) == 1


@pytest.mark.parametrize("words", [["missing/reader.p12"], ["reader.p12", "--pem=missing/reader.pem"]])
def test_a_file_that_cannot_be_made_costs_no_token(shield: Shield, tmp_path: Path, words: list[str]) -> None:
    with contextlib.chdir(tmp_path), pytest.raises(CannotWrite, match="missing/reader"):
        run(tmp_path, "--name=ios-bootstrap", *words[1:], out=words[0])

    assert (shield.issued.all(), sorted(tmp_path.glob("reader*"))) == ([], [])


def test_pem_beside_it_is_an_rsa_key_as_pkcs8_when_asked_for(home: Path) -> None:
    beside = home / "reader.pem"
    run(home, "--name=android", "--rsa", f"--pem={beside}")
    text = beside.read_text()
    key = subprocess.run(["openssl", "pkey", "-in", str(beside), "-noout", "-text"], capture_output=True, check=True)

    assert re.findall("-----BEGIN (.*)-----", text) == ["CERTIFICATE", "PRIVATE KEY"]
    assert b"2048 bit" in key.stdout
    assert beside.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        (["--rsa"], ConfigError, "new reader"),
        (["--name=x", "--token-file=/nonexistent"], Refused, "no token"),
    ],
)
def test_what_cannot_be_done_is_refused_and_writes_nothing(
    home: Path, words: list[str], error: type[AgentError], says: str
) -> None:
    with pytest.raises(error, match=says):
        run(home, *words)

    assert not (home / "reader.p12").exists()


@pytest.mark.parametrize("content", ["", "\nsecond\n", "p\u00e9\n", "tab\t\n"])
def test_bundle_without_a_password_that_opens_everywhere_is_never_written(home: Path, content: str) -> None:
    (home / "password").write_text(content)

    with pytest.raises(Refused, match="no password"):
        run(home)
    assert not (home / "reader.p12").exists()


def test_file_that_is_there_is_not_overwritten(home: Path) -> None:
    (home / "reader.p12").write_text("somebody's")

    with pytest.raises(CannotWrite, match="not overwritten"):
        run(home)
    assert (home / "reader.p12").read_text() == "somebody's"


@pytest.mark.parametrize("key", [b"", b"-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n-----END TSS2 PRIVATE KEY-----\n"])
def test_key_that_cannot_leave_its_place_is_named(home: Path, key: bytes) -> None:
    (home / "sensor-key.pem").write_bytes(key)

    with pytest.raises(ConfigError, match="cannot be taken out"):
        run(home)


def test_key_of_another_certificate_is_noticed() -> None:
    request = pem.signing_request(pem.new_key("p256"), name=NAME, subject={})

    with pytest.raises(ValueError, match="not the certificate's"):
        pkcs12.bundle(authority().sign(request), pem.new_key("p256"), password="x", encryption="aes")
