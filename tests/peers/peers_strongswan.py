"""strongSwan's EST client against the tests' EST server: that the server which the agent is tested with is honest.

Run by `make peers`, which needs strongswan-pki with libstrongswan-standard-plugins; nothing here is skipped.
"""

import subprocess
from pathlib import Path

import pytest
from world.enrollee import Enrollee
from world.est import EstServer, est_server
from world.identities import authority

from agent import pem
from agent.certificate import parse


def pki(*words: str) -> bytes:
    """What the client answers on stdout; its complaints are in the error."""
    done = subprocess.run(["pki", *words], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def enroll(server: EstServer, directory: Path, name: str, *more: str) -> tuple[Path, Path]:
    """Key and certificate that strongSwan gets for that name."""
    key, request = directory / f"{name}.key", directory / f"{name}.csr"
    key.write_bytes(pki("--gen", "--type", "ecdsa", "--size", "256", "--outform", "pem"))
    request.write_bytes(pki("--req", "--in", str(key), "--type", "ecdsa", "--dn", f"CN={name}", "--outform", "pem"))
    got = directory / f"{name}.pem"
    got.write_bytes(
        pki("--est", "--url", server.url, "--in", str(request), "--cacert", server.ca_file, "--outform", "pem", *more)
    )
    return key, got


def test_it_fetches_the_authoritys_certificate(tmp_path: Path) -> None:
    with est_server(tmp_path) as server:
        out = tmp_path / "ca.der"
        pki("--estca", "--url", server.url, "--cacert", server.ca_file, "--caout", str(out))
    [file] = tmp_path.glob("ca*.der")
    from cryptography import x509

    assert (
        x509.load_der_x509_certificate(file.read_bytes()).subject
        == x509.load_pem_x509_certificate(authority().certificate_file.read_bytes()).subject
    )


@pytest.mark.parametrize("pending", [0, 1])
def test_it_enrolls_with_a_one_time_password_and_waits_for_approval(tmp_path: Path, pending: int) -> None:
    with est_server(tmp_path, passwords={"swan": "once"}, pending=pending) as server:
        _, got = enroll(server, tmp_path, "swan-1", "--userpass", "swan:once", "--interval", "1")
    assert parse(got.read_bytes()).name == "swan-1"


def test_it_renews_over_mutual_tls_and_so_does_the_agent_with_what_it_got(tmp_path: Path) -> None:
    with est_server(tmp_path, passwords={"swan": "once"}) as server:
        key, got = enroll(server, tmp_path, "swan-2", "--userpass", "swan:once")
        (tmp_path / "new").mkdir()
        new_key, again = enroll(server, tmp_path / "new", "swan-2", "--cert", str(got), "--key", str(key))
        assert parse(again.read_bytes()) != parse(got.read_bytes())
        device = Enrollee(tmp_path / "device")
        device.configure(issuer="est", url=server.url)
        (tmp_path / "mine.pem").write_bytes(again.read_bytes() + new_key.read_bytes())
        assert device("identity", "import", str(tmp_path / "mine.pem")).code == 0
        done = device("renew", "--force")
        assert (done.code, done.answer["name"], done.answer["changed"]) == (0, "swan-2", True), done.said


def test_an_agents_pair_is_one_that_strongswan_reads(tmp_path: Path) -> None:
    with est_server(tmp_path, passwords={"a": "b"}) as server:
        device = Enrollee(tmp_path / "device")
        device.configure(issuer="est", url=server.url)
        device.token.write_text("a:b\n")
        assert device("enroll").code == 0
    assert b"CN=" in pki("--print", "--in", str(device.cert))
    assert pem.first_key(device.key.read_bytes()) is not None
    assert pki("--keyid", "--in", str(device.key), "--type", "priv")
