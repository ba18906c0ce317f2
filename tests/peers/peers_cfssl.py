"""Debian's cfssl as the issuer of real enrollments: `cfssl serve` over TLS, with and without a profile's key.

Run by `make peers`, which needs golang-cfssl; nothing here is skipped.
"""

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from world.enrollee import NAME, Enrollee
from world.identities import authority

from agent.certificate import parse

KEY = "00112233445566778899aabbccddeeff"
CLIENT = {"usages": ["signing", "client auth"], "expiry": "720h"}
PROFILES = {
    "signing": {
        "default": CLIENT,
        "profiles": {
            "keyed": {**CLIENT, "auth_key": "one"},
            "short": {**CLIENT, "expiry": "48h"},
            "expired": {**CLIENT, "expiry": "2m"},  # cfssl backdates by five
        },
    },
    "auth_keys": {"one": {"type": "standard", "key": KEY}},
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running cfssl."""
    home = tmp_path_factory.mktemp("cfssl")
    key, certificate = authority().issue_server(["127.0.0.1"])
    (home / "server-key.pem").write_bytes(key)
    (home / "server.pem").write_bytes(certificate)
    (home / "config.json").write_text(json.dumps(PROFILES))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["cfssl", "serve", "-address=127.0.0.1", f"-port={port}", "-loglevel=1"]
    words += [f"-ca={authority().certificate_file}", f"-ca-key={authority().key_file}"]
    words += [f"-config={home}/config.json", f"-tls-cert={home}/server.pem", f"-tls-key={home}/server-key.pem"]
    with (home / "log").open("wb") as log, subprocess.Popen(words, stdout=log, stderr=log) as running:
        try:
            until_listening(port, running)
            yield f"https://127.0.0.1:{port}"
        finally:
            running.terminate()


def until_listening(port: int, running: "subprocess.Popen[bytes]") -> None:
    """Wait for it, ten seconds at most."""
    end, pause = time.monotonic() + 10, threading.Event()
    while time.monotonic() < end:
        assert running.poll() is None, running.args
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        pause.wait(0.05)
    raise AssertionError("cfssl does not listen")


def device(directory: Path, url: str, *, more: str = "", token: str = "") -> Enrollee:
    """A board that enrolls with cfssl; without a token it has no token file."""
    made = Enrollee(directory / "device")
    made.configure(issuer="cfssl", url=url, more=more)
    made.token.unlink()
    if token:
        made.token.touch(mode=0o600)
        made.token.write_text(token + "\n")
    return made


@pytest.mark.parametrize("key_type", ["p256", "rsa2048"])
def test_sign_gives_a_pair_and_renews_it(tmp_path: Path, served: str, key_type: str) -> None:
    made = device(tmp_path, served, more=f'key_type = "{key_type}"\nvalidity_days = 30')
    done = made("enroll")
    assert (done.code, done.answer["can_renew"]) == (0, True), done.said
    first = parse(made.cert.read_bytes())
    assert (first.name, first.days_left(first.not_before)) == (NAME, 30)
    assert made("renew").answer["changed"] is False
    assert made("renew", "--force").answer["changed"] is True
    assert made("identity", "verify", "--offline").code == 0
    assert parse(made.cert.read_bytes()) != first


def test_authsign_takes_the_profiles_key_and_no_other(tmp_path: Path, served: str) -> None:
    more = 'profile = "keyed"\nvalidity_days = 30'
    assert device(tmp_path / "a", served, more=more, token=KEY)("enroll").code == 0
    wrong = device(tmp_path / "b", served, more=more, token=KEY[::-1])("enroll")
    none = device(tmp_path / "c", served, more=more)("enroll")
    assert (wrong.code, "invalid token" in wrong.said) == (77, True)
    assert (none.code, "authentication required" in none.said) == (77, True)


def test_a_profile_that_it_does_not_know_is_silently_another_and_that_is_told(tmp_path: Path, served: str) -> None:
    done = device(tmp_path, served, more='profile = "shrot"\nvalidity_days = 2')("enroll")
    assert (done.code, "valid for 30 days, asked for 2" in done.said) == (0, True)


def test_a_certificate_that_has_expired_on_arrival_is_refused(tmp_path: Path, served: str) -> None:
    done = device(tmp_path, served, more='profile = "expired"')("enroll")
    assert (done.code, "expired already" in done.said) == (65, True)


def test_a_rehearsal_reaches_it_and_gets_nothing_signed(tmp_path: Path, served: str) -> None:
    made = device(tmp_path, served)
    done = made("enroll", "--dry-run")
    assert (done.code, done.answer["steps"][-1]["detail"].endswith("nothing was asked of it")) == (0, True), done.said
    assert not made.store.exists()


def test_a_request_carried_to_cfssls_own_command_comes_back_in_its_own_json(tmp_path: Path) -> None:
    made = device(tmp_path, "https://127.0.0.1:9")
    out = tmp_path / "out.csr"
    made("identity", "export-csr", str(out), as_json=False)
    (tmp_path / "config.json").write_text(json.dumps(PROFILES))
    words = ["cfssl", "sign", f"-ca={authority().certificate_file}", f"-ca-key={authority().key_file}"]
    signed = subprocess.run([*words, f"-config={tmp_path}/config.json", str(out)], capture_output=True, check=True)
    (tmp_path / "answer.json").write_bytes(signed.stdout)
    assert made("identity", "import", str(tmp_path / "answer.json")).code == 0
    assert made("identity", "verify", "--offline").code == 0


@pytest.mark.parametrize("kind", [{"algo": "ecdsa", "size": 256}, {"algo": "rsa", "size": 2048}])
def test_a_pair_of_cfssl_genkey_is_brought_in_as_it_is(tmp_path: Path, kind: dict[str, object]) -> None:
    (tmp_path / "csr.json").write_text(json.dumps({"CN": NAME, "hosts": [NAME], "key": kind, "names": [{"O": "Lab"}]}))
    made = subprocess.run(["cfssl", "genkey", str(tmp_path / "csr.json")], capture_output=True, check=True)
    fields = json.loads(made.stdout)
    (tmp_path / "key.pem").write_text(fields["key"])
    (tmp_path / "cert.pem").write_bytes(authority().sign(fields["csr"].encode()))
    board = device(tmp_path, "https://127.0.0.1:9")
    done = board("identity", "import", str(tmp_path / "cert.pem"), "--key", str(tmp_path / "key.pem"))
    assert done.code == 0, done.said
    assert board("identity", "verify", "--offline").code == 0
