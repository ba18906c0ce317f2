"""What lies in the way of every issuer alike: the environment, a clock in the past, an intercepted connection."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from world.identities import authority
from world.server import answer, serving

from agent import pem
from agent.config import EnrollConfig
from agent.devshield.authority import Authority
from agent.errors import AgentError, ConfigError, TryLater
from agent.issuers import NAMES, Issuer, can_renew
from agent.issuers.cfssl import CfsslIssuer
from agent.issuers.cloudflare import CloudflareIssuer
from agent.issuers.est import EstIssuer

ISSUERS = ("cloudflare", "est", "cfssl")
REQUEST = pem.signing_request(pem.new_key("p256"), name="sensor-001", subject={})


def made(name: str, port: int, ca_file: str) -> Issuer:
    """The issuer of that name for a server on loopback; its token is told by the last letters."""
    url = f"https://127.0.0.1:{port}"
    match name:
        case "est":
            return EstIssuer(url=url, ca_file=ca_file, token="id:0ddba11")
        case "cfssl":
            return CfsslIssuer(url=url, ca_file=ca_file, token="0ddba11e")
        case _:
            return CloudflareIssuer(url=url, zone_id="", ca_file=ca_file, token="0ddba11e")


def refused(name: str, port: int, *, ca_file: str = "") -> AgentError:
    """The error that asking it ends in."""
    issuer = made(name, port, ca_file or str(authority().certificate_file))
    with pytest.raises(AgentError) as raised:
        issuer.issue(REQUEST, validity_days=1)
    issuer.close()
    return raised.value


@pytest.mark.parametrize("name", ISSUERS)
def test_a_server_that_is_not_yet_valid_means_this_devices_clock(tmp_path: Path, name: str) -> None:
    now, key = datetime.now(UTC), pem.new_key("p256")
    request = pem.signing_request(key, name="127.0.0.1", subject={})
    begin = now + timedelta(days=1)
    later = authority().sign(request, not_before=begin, not_after=begin + timedelta(days=1), usage="server")
    with serving(tmp_path, answer(200), pair=(key, later)) as server:
        error = refused(name, server.port)
    assert isinstance(error, TryLater)
    assert "this device's clock" in str(error)
    assert "TLS" not in str(error)


@pytest.mark.parametrize("name", ISSUERS)
def test_an_intercepted_connection_never_sees_the_credential(tmp_path: Path, name: str) -> None:
    (tmp_path / "other").mkdir()
    pair = Authority.create(tmp_path / "other").issue_server(["127.0.0.1"])
    with serving(tmp_path, answer(200), pair=pair) as server:
        error = refused(name, server.port)
    assert isinstance(error, ConfigError)
    assert server.bytes_seen == 0


CHILD = """
import sys
import test_issuer_traps as traps
print(type(traps.refused(sys.argv[1], int(sys.argv[2]), ca_file=sys.argv[3])).__name__)
"""


@pytest.mark.parametrize("name", ISSUERS)
def test_the_environment_changes_neither_way_nor_credential_nor_authority(tmp_path: Path, name: str) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password secret\n")
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *(path for path in sys.path if path)]),
        "NETRC": str(tmp_path / ".netrc"),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "REQUESTS_CA_BUNDLE": str(tmp_path / "nothing.pem"),
        "CURL_CA_BUNDLE": str(tmp_path / "nothing.pem"),
    }
    with serving(tmp_path, answer(401)) as server:
        words = [sys.executable, "-c", CHILD, name, str(server.port), str(authority().certificate_file)]
        done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("Refused", "")
    shown = server.seen[0].headers.get("authorization", "")
    assert shown.startswith({"cloudflare": "Bearer 0dd", "est": "Basic aWQ6", "cfssl": ""}[name])
    assert "c29tZWJvZHk6" not in shown  # of .netrc


def test_the_names_are_those_that_the_configuration_takes() -> None:
    assert EnrollConfig().issuer in NAMES
    assert {name: can_renew(name, renew_url="") for name in NAMES} == {
        "cloudflare": False,
        "est": True,
        "cfssl": True,
        "manual": False,
    }
    assert can_renew("cloudflare", renew_url="https://ra.example.com")
