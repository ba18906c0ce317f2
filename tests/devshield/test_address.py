"""What a server that listens everywhere tells its clients: an address of this machine, which its certificate names."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509

from agent.devshield.address import Address, called, is_loopback

EVERYWHERE = "0.0.0.0"
FOUR, SIX = ("192.168.1.10", "10.0.0.2"), ("fd00::2",)


@pytest.mark.parametrize(
    ("listen", "told", "names"),
    [
        ("192.168.1.10", "192.168.1.10", {"192.168.1.10"}),
        ("fd00::2", "[fd00::2]", {"fd00::2"}),
        (EVERYWHERE, "192.168.1.10", {*FOUR}),
        ("", "192.168.1.10", {*FOUR}),
        ("::", "[fd00::2]", {*SIX, *FOUR}),
    ],
)
def test_what_is_told_can_be_connected_to_and_is_named(listen: str, told: str, names: set[str]) -> None:
    got = called(listen, host="pi", four=FOUR, six=SIX)

    assert (got.told, set(got.names)) == (told, {"localhost", "127.0.0.1", "pi", *names})


def test_a_machine_without_addresses_tells_its_name() -> None:
    assert called(EVERYWHERE, host="pi", four=(), six=()) == Address("pi", ("localhost", "127.0.0.1", "pi", "pi"))


@pytest.mark.parametrize(
    ("told", "loopback"), [("127.0.0.1", True), ("[::1]", True), ("localhost", True), ("192.168.1.10", False)]
)
def test_loopback_is_known_as_such(told: str, loopback: bool) -> None:
    assert is_loopback(told) is loopback


COMMANDS = {"shield": ["serve"], "url": ["authority", "serve", "--names", "sensor-*"]}


@pytest.mark.parametrize("key", COMMANDS)
def test_url_of_a_server_that_listens_everywhere_is_in_its_certificate(home: Path, key: str) -> None:
    command = [sys.executable, "-m", "agent", "shield", *COMMANDS[key], "--dir", str(home), "--listen", EVERYWHERE]
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        host = urlsplit(json.loads(process.stdout.readline())[key]).hostname
        process.terminate()
    certificate = x509.load_pem_x509_certificate((home / "server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert host in [str(name.value) for name in names]
    assert host != EVERYWHERE
