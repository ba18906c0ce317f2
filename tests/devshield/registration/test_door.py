"""The authority's own certificate, taken up anew at SIGHUP while it runs."""

import json
import shutil
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from world.fleet import NAME, call, request_for
from world.visitors import put

from agent.devshield.authority import Authority
from agent.devshield.registration.office import RegistrationAuthority, Setup
from agent.devshield.registration.policy import Policy

LATER: Final = 4_000_000_000.0


def renew(authority: Authority, directory: Path) -> tuple[Path, Path]:
    """Files of a server pair, written anew."""
    key, certificate = authority.issue_server(["127.0.0.1"])
    return put(directory, "server", certificate, key)


def shown(port: int) -> str:
    """The certificate that the server shows."""
    return ssl.get_server_certificate(("127.0.0.1", port))


def test_sighup_takes_up_a_renewed_certificate_and_ends_nothing(authority: Authority, tmp_path: Path) -> None:
    certificate, key = renew(authority, tmp_path)
    command = [sys.executable, "-m", "agent", "shield", "authority", "serve", "--dir", str(tmp_path / "office")]
    command += ["--names", "x", "--json", "--cert", str(certificate), "--key", str(key)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            port = json.loads(process.stdout.readline())["port"]
            before = shown(port)
            renew(authority, tmp_path)
            process.send_signal(signal.SIGHUP)
            assert "certificate taken up" in process.stderr.readline()
            after = shown(port)
            certificate.write_text("torn")
            process.send_signal(signal.SIGHUP)
            assert "certificate not taken up" in process.stderr.readline()
            assert (shown(port), before == after) == (after, False)
        finally:
            process.terminate()
            assert process.wait(10) == 0


@pytest.mark.parametrize("issued", ["before", "after"])
def test_clients_of_before_and_after_are_let_in_when_it_was_taken_up(
    authority: Authority, tmp_path: Path, issued: str
) -> None:
    server, server_key = renew(authority, tmp_path)
    shutil.copy(authority.certificate_file, tmp_path / "roots.pem")
    setup = Setup(tmp_path / "office", Policy(("sensor-*.devices.example.com",)), certificate=server, key=server_key)
    with RegistrationAuthority(setup) as office:
        office.where["ca_file"] = str(tmp_path / "roots.pem")
        if issued == "after":
            office.reload()
        key, csr = request_for()
        got = call(office, "POST", csr, token=office.ledger.new_token(expires=LATER))
        pair = put(tmp_path, "device", json.loads(got.body)["result"]["certificate"].encode(), key)
        if issued == "before":
            office.reload()

        assert call(office, "GET", shown=pair).status == 200
    assert json.loads(got.body)["result"]["common_name"] == NAME
