"""The EST issuer against an EST server over TLS; `tests/peers` has strongSwan hold the server to the standard."""

import base64
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from world.est import EstServer, est_server
from world.identities import authority, put_pair
from world.server import Step, answer, serving

from agent import pem
from agent.errors import AgentError, ConfigError, Refused, TryLater, UnusableAnswer
from agent.issuers.est import EstIssuer

NAME = "sensor-001.devices.example.com"
KEY = pem.new_key("p256")
REQUEST = pem.signing_request(KEY, name=NAME, subject={"O": "Lab"})
NOW = datetime.now(UTC)


def ask(server: EstServer, *, token: str = "", pair: tuple[str, str] | None = None, request: bytes = REQUEST) -> bytes:
    """The chain that the issuer gives for the request."""
    issuer = EstIssuer(url=server.url, ca_file=server.ca_file, token=token, pair=pair)
    try:
        return pem.extract_chain(issuer.issue(request, validity_days=1).certificate_text, request_pem=request)
    finally:
        issuer.close()


def test_a_one_time_password_buys_a_certificate(tmp_path: Path) -> None:
    with est_server(tmp_path, passwords={"sensor-001": "s3:cret"}) as server:
        got = ask(server, token="sensor-001:s3:cret")
    pem.check_issued(got, request_pem=REQUEST, now=NOW)
    [(operation, headers, body)] = server.seen
    assert (operation, headers["content-type"]) == ("simpleenroll", "application/pkcs10")
    assert base64.b64decode(body, validate=True) == pem.request_der(REQUEST)
    assert b"\n" not in body


def test_the_devices_own_certificate_is_found_behind_its_authority_and_past_line_breaks(tmp_path: Path) -> None:
    with est_server(tmp_path, passwords={"a": "b"}, with_chain=True, break_lines=True) as server:
        got = ask(server, token="a:b")
    pem.check_issued(got, request_pem=REQUEST, now=NOW)
    assert got.count(b"BEGIN CERTIFICATE") == 1  # the root is nobody's to send


def test_a_used_password_is_refused_for_another_key_and_good_for_the_same(tmp_path: Path) -> None:
    other = pem.signing_request(pem.new_key("p256"), name=NAME, subject={"O": "Lab"})
    with est_server(tmp_path, passwords={"a": "b"}) as server:
        ask(server, token="a:b")
        ask(server, token="a:b")
        with pytest.raises(Refused, match="token was refused"):
            ask(server, token="a:b", request=other)


def test_pending_approval_says_when_to_come_again_and_by_which_number(tmp_path: Path) -> None:
    with est_server(tmp_path, passwords={"a": "b"}, pending=1) as server:
        with pytest.raises(TryLater, match=pem.public_key_sha256(REQUEST)) as raised:
            ask(server, token="a:b")
        ask(server, token="a:b")
    assert raised.value.after == 1.0


def test_the_old_certificate_buys_a_new_one_over_mutual_tls(tmp_path: Path) -> None:
    pair = put_pair(tmp_path / "old", NAME)
    like = Path(pair[0]).read_bytes()
    request = pem.signing_request(KEY, name="another name", subject={"O": "other"}, like=like)
    with est_server(tmp_path) as server:
        got = ask(server, pair=pair, request=request)
    pem.check_issued(got, request_pem=request, now=NOW)
    operation, headers, _ = server.seen[0]
    assert (operation, "authorization" in headers) == ("simplereenroll", False)


@pytest.mark.parametrize("token", ["", "no-colon"])
def test_a_token_that_is_no_name_and_password_is_told_before_anybody_is_asked(token: str) -> None:
    with pytest.raises(Refused, match="id:password"):
        EstIssuer(url="https://127.0.0.1:1", ca_file=str(authority().certificate_file), token=token)


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (answer(302, location="https://127.0.0.1:1/"), ConfigError),
        (answer(307, location="https://127.0.0.1:1/"), ConfigError),
        (answer(404), ConfigError),
        (answer(401), Refused),
        (answer(400, b"bad key type"), Refused),
        (answer(429), TryLater),
        (answer(503), TryLater),
        (answer(200, b"<html>sign in</html>", "text/html"), TryLater),
        (answer(200, b"!!!", "application/pkcs7-mime"), UnusableAnswer),
        (answer(200, base64.b64encode(b"no pkcs7"), "application/pkcs7-mime"), UnusableAnswer),
    ],
)
def test_each_other_answer_says_who_must_act(tmp_path: Path, step: Step, error: type[AgentError]) -> None:
    with serving(tmp_path, step) as server:
        issuer = EstIssuer(
            url=f"https://127.0.0.1:{server.port}", ca_file=str(authority().certificate_file), token="id:s3cret"
        )
        with pytest.raises(error) as raised:
            issuer.issue(REQUEST, validity_days=1)
        issuer.close()
    assert [seen.path for seen in server.seen] == ["/.well-known/est/simpleenroll"]
    assert "s3cret" not in str(raised.value) + raised.value.hint


def test_reach_asks_for_the_authoritys_certificates(tmp_path: Path) -> None:
    with est_server(tmp_path) as server:
        issuer = EstIssuer(url=f"{server.url}/.well-known/est/", ca_file=server.ca_file, token="a:b")
        assert "1 certificates" in issuer.reach()
        issuer.close()


def test_many_devices_at_once_get_one_each(tmp_path: Path) -> None:
    with est_server(tmp_path, passwords={str(number): "p" for number in range(10)}) as server:
        threads = [
            threading.Thread(
                target=ask,
                args=(server,),
                kwargs={
                    "token": f"{number}:p",
                    "request": pem.signing_request(pem.new_key("p256"), name=f"s-{number}", subject={}),
                },
            )
            for number in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert len(server.issued) == 10
