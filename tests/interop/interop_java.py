"""A reader on the JVM: opens what `bundle` writes, as new and as old phones take it, and reads with it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from world.visitors import NAME, READING, pair, visit

from agent import pem, pkcs12
from agent.devshield.authority import Authority
from agent.devshield.shield import Setup, Shield

READER = Path(__file__).with_name("Reader.java")
PASSWORD = "correct horse ~"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader's classes."""
    directory = tmp_path_factory.mktemp("classes")
    subprocess.run(["javac", "-d", directory, READER], check=True)
    return directory


@pytest.fixture
def shield(tmp_path: Path) -> Iterator[Shield]:
    """A shield that holds one reading of this address."""
    with Shield(Setup(tmp_path / "shield", rule="strict")) as made:
        assert visit(made, pair(tmp_path, "p256", Authority.open(tmp_path / "shield"))).status == 201
        yield made


@pytest.mark.parametrize("encryption", ["aes", "3des"])
@pytest.mark.parametrize("key_type", ["p256", "rsa2048"])
def test_java_opens_the_bundle_and_reads(
    compiled: Path, shield: Shield, tmp_path: Path, key_type: str, encryption: pkcs12.Encryption
) -> None:
    key = pem.new_key(key_type)
    certificate = Authority.open(tmp_path / "shield").sign(pem.signing_request(key, name=NAME, subject={}))
    bundle, password = tmp_path / "reader.p12", tmp_path / "password"
    bundle.write_bytes(pkcs12.bundle(certificate, key, password=PASSWORD, encryption=encryption))
    password.write_text(f"{PASSWORD}\n")
    command = ["java", "-cp", str(compiled), "Reader", str(bundle), str(password)]

    done = subprocess.run([*command, str(shield.ca_file), shield.url], capture_output=True, text=True, check=False)

    alias, status, body = done.stdout.splitlines() or [done.stderr, "", "null"]
    assert (alias, status, json.loads(body)) == (NAME, "200", [json.loads(READING)])
