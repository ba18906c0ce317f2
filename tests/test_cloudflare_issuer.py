"""The client-certificates API as a client meets it: what each refusal means, and what TLS and the way there do."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from world.identities import authority
from world.odd_requests import ODD_CERTIFICATE, ODD_REQUEST
from world.server import Server, Step, answer, close, serving

from agent import pem
from agent.devshield.authority import Authority
from agent.errors import AgentError, ConfigError, Refused, TryLater, UnusableAnswer
from agent.issuers.cloudflare import CloudflareIssuer, refusal

KEY = pem.new_key("p256")
REQUEST = pem.signing_request(KEY, name="sensor-001", subject={})
ISSUED = json.dumps({"success": True, "result": {"id": "a-b", "certificate": "PEM"}}).encode()


@pytest.mark.parametrize(
    ("status", "codes", "error", "exit_code"),
    [
        (429, [], TryLater, 75),
        (429, [10000], TryLater, 75),
        (500, [], TryLater, 75),
        (502, [], TryLater, 75),
        (530, [], TryLater, 75),
        (408, [], TryLater, 75),
        (301, [], ConfigError, 78),
        (307, [], ConfigError, 78),
        (404, [], ConfigError, 78),
        (405, [], ConfigError, 78),
        (400, [7003], ConfigError, 78),
        (401, [], Refused, 77),
        (403, [10000], Refused, 77),
        (403, [], Refused, 77),
        (400, [6003], Refused, 77),
        (400, [9106], Refused, 77),
        (400, [1445], Refused, 77),
        (422, [], Refused, 77),
    ],
)
def test_a_refusal_says_who_must_act(status: int, codes: list[int], error: type[AgentError], exit_code: int) -> None:
    got = refusal(status, [(code, "words") for code in codes], url="https://api.example/x")
    assert type(got) is error
    assert (got.exit_code, bool(got.hint)) == (exit_code, True)
    assert str(status) in str(got)


@pytest.mark.parametrize(("header", "after"), [(None, 300.0), (42.0, 42.0)])
def test_a_rate_limit_says_when_to_come_again(header: float | None, after: float) -> None:
    got = refusal(429, [], url="https://api.example/x", wait=header)
    assert isinstance(got, TryLater)
    assert got.after == after


def test_code_and_message_are_shown_as_they_came() -> None:
    got = refusal(400, [(1445, "quota"), (0, "plain words")], url="https://api.example/x")
    assert "1445 quota; plain words" in str(got)


@pytest.mark.parametrize(
    ("said", "mended"),
    [
        ("csr: no name for a device here: rpi-10000000abcdef12", "device.name"),
        ("csr: the token is for the name sensor-007, not sensor-001", "--name"),
        ("csr: the key must be P-256, P-384, or RSA of 2048 to 4096 bits", "enroll.key_type"),
    ],
)
def test_a_refusal_of_the_name_does_not_send_to_the_key(said: str, mended: str) -> None:
    hint = refusal(400, [(1400, said)], url="https://api.example/x").hint
    assert mended in hint
    assert ("key_type" in hint) == ("key_type" in mended)


def issuer(server: Server, *, token: str = "t0ken", zone_id: str = "zone") -> CloudflareIssuer:
    url = f"https://127.0.0.1:{server.port}/client/v4/"
    return CloudflareIssuer(url=url, zone_id=zone_id, token=token, ca_file=str(authority().certificate_file))


def ask(server: Server) -> AgentError | str:
    asked = issuer(server)
    try:
        return asked.issue(REQUEST, validity_days=365).issuer_id
    except AgentError as error:
        return error
    finally:
        asked.close()


def test_the_request_is_one_post_with_the_csr_and_the_token(tmp_path: Path) -> None:
    with serving(tmp_path, answer(200, ISSUED)) as server:
        assert ask(server) == "a-b"
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", "/client/v4/zones/zone/client_certificates")
    assert json.loads(seen.body) == {"csr": REQUEST.decode(), "validity_days": 365}
    assert seen.headers["authorization"] == "Bearer t0ken"


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (answer(302, location="https://127.0.0.1:1/elsewhere"), ConfigError),
        (answer(503, b"<html>busy</html>", "text/html"), TryLater),
        (answer(403, b'{"errors": null}'), Refused),
        (answer(403, b'{"errors": [1, "x"]}'), Refused),
        (answer(200, b"<html>login</html>", "text/html"), TryLater),
        (answer(200, b"<html>login</html>"), UnusableAnswer),
        (answer(200, b"{}"), UnusableAnswer),
        (answer(200, b"[]"), UnusableAnswer),
        (answer(200, b'{"result": null}'), UnusableAnswer),
        (answer(200, b'{"result": {"id": "x"}}'), UnusableAnswer),
        (answer(200, b'{"result": {"certificate": 7}}'), UnusableAnswer),
        (close, TryLater),
    ],
)
def test_what_is_no_certificate_ends_in_an_error_of_ours(tmp_path: Path, step: Step, error: type[AgentError]) -> None:
    with serving(tmp_path, step) as server:
        assert type(ask(server)) is error
    assert len(server.seen) == 1  # a redirect was not followed: it could take the token elsewhere


def test_the_token_is_in_no_error(tmp_path: Path) -> None:
    with serving(tmp_path, answer(401, b'{"errors": [{"code": 10000, "message": "Authentication error"}]}')) as server:
        got = ask(server)
    assert isinstance(got, Refused)
    assert "t0ken" not in f"{got} {got.hint}"


def test_nobody_there_is_tried_later(tmp_path: Path) -> None:
    with serving(tmp_path, answer(200)) as server:
        pass
    assert isinstance(ask(server), TryLater)


def server_pair(names: list[str], **times: datetime) -> tuple[bytes, bytes]:
    key = pem.new_key("p256")
    request = pem.signing_request(key, name=names[0], subject={})
    return key, authority().sign(request, usage="server", **times)  # type: ignore[arg-type]


NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("times", "error", "says"),
    [
        ({"not_before": NOW + timedelta(days=2)}, TryLater, "not yet valid by this device's clock"),
        ({"not_before": NOW - timedelta(days=9), "not_after": NOW - timedelta(days=1)}, TryLater, "expired"),
    ],
)
def test_a_certificate_out_of_date_is_first_of_all_this_devices_clock(
    tmp_path: Path, times: dict[str, datetime], error: type[AgentError], says: str
) -> None:
    with serving(tmp_path, answer(200, ISSUED), pair=server_pair(["127.0.0.1"], **times)) as server:
        got = ask(server)
    assert isinstance(got, error)
    assert says in str(got)
    assert "timedatectl" in got.hint
    assert server.bytes_seen == 0


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_server_that_does_not_verify_never_sees_the_token(tmp_path: Path, wrong: str) -> None:
    if wrong == "authority":
        pair = Authority.create(tmp_path / "other").issue_server(["127.0.0.1"])
    else:
        pair = authority().issue_server(["api.example.com"])
    with serving(tmp_path, answer(200, ISSUED), pair=pair) as server:
        got = ask(server)
    assert isinstance(got, ConfigError)
    assert server.bytes_seen == 0


CHILD = """
import sys
from agent.issuers.cloudflare import CloudflareIssuer
made = CloudflareIssuer(url=sys.argv[1], zone_id="", token="t0ken", ca_file=sys.argv[2])
print(made.issue(b"csr", validity_days=1).issuer_id)
"""


def test_the_environment_changes_neither_way_nor_token_nor_authority(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password secret\n")
    environ = {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "NETRC": str(tmp_path / ".netrc"),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "REQUESTS_CA_BUNDLE": str(tmp_path / "nothing.pem"),
    }
    with serving(tmp_path, answer(200, ISSUED)) as server:
        arguments = [f"https://127.0.0.1:{server.port}", str(authority().certificate_file)]
        done = subprocess.run(
            [sys.executable, "-c", CHILD, *arguments], env=environ, capture_output=True, text=True, check=False
        )
    assert (done.stdout.strip(), done.stderr) == ("a-b", "")
    assert server.seen[0].headers["authorization"] == "Bearer t0ken"
    assert server.seen[0].path == "/client_certificates"


@pytest.mark.parametrize(
    ("step", "found"),
    [
        (answer(403, b"{}"), None),
        (answer(404, b"{}"), None),
        (answer(200, b'{"result": []}'), None),
        (answer(200, b'{"result": null}'), None),
    ],
)
def test_an_issuer_without_a_list_finds_nothing(tmp_path: Path, step: Step, found: None) -> None:
    with serving(tmp_path, step) as server:
        asked = issuer(server)
        assert asked.find(REQUEST) is found
        asked.close()


ODD = {"certificate": ODD_CERTIFICATE.decode(), "csr": ODD_REQUEST.decode()}


@pytest.mark.parametrize(
    "junk", [7, {}, {"certificate": "x"}, {"certificate": "x", "csr": 4}, {"csr": "x"}, {**ODD, "csr": "\ud800"}, ODD]
)
def test_a_list_with_strange_entries_is_read_past_them(tmp_path: Path, junk: object) -> None:
    mine = {"id": "mine", "certificate": "PEM", "csr": REQUEST.decode().replace("\n", "\r\n")}
    with serving(tmp_path, answer(200, json.dumps({"result": [junk, mine]}).encode())) as server:
        asked = issuer(server)
        found = asked.find(REQUEST)
        asked.close()
    assert found is not None
    assert found.issuer_id == "mine"
