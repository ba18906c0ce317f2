"""The cfssl issuer: what it sends, and what each answer means; `tests/peers` has the real cfssl sign."""

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from world.identities import authority
from world.server import Server, Step, answer, serving

from agent import pem
from agent.errors import AgentError, ConfigError, Refused, TryLater, UnusableAnswer
from agent.issuers.cfssl import CfsslIssuer

REQUEST = pem.signing_request(pem.new_key("p256"), name="sensor-001", subject={})
KEY = "0123456789abcdef0123456789abcdef"
GOOD = answer(200, b'{"success": true, "result": {"certificate": "PEM"}, "errors": [], "messages": []}')


def failed(code: int, message: str, status: int = 400) -> Step:
    """cfssl's refusal, which calls itself plain text."""
    body = {"success": False, "result": None, "errors": [{"code": code, "message": message}], "messages": []}
    return answer(status, json.dumps(body).encode(), "text/plain; charset=utf-8")


def issue(server: Server, *, token: str = "", profile: str = "") -> str:
    """The text that the issuer gives for the request."""
    issuer = CfsslIssuer(
        url=f"https://127.0.0.1:{server.port}", ca_file=str(authority().certificate_file), token=token, profile=profile
    )
    try:
        return issuer.issue(REQUEST, validity_days=1).certificate_text
    finally:
        issuer.close()


def test_without_a_key_it_asks_for_sign(tmp_path: Path) -> None:
    with serving(tmp_path, GOOD) as server:
        assert issue(server, profile="client") == "PEM"
    [seen] = server.seen
    assert seen.path == "/api/v1/cfssl/sign"
    assert json.loads(seen.body) == {"certificate_request": REQUEST.decode(), "profile": "client"}


def test_with_a_key_it_asks_for_authsign_and_the_key_itself_does_not_travel(tmp_path: Path) -> None:
    with serving(tmp_path, GOOD) as server:
        issue(server, token=KEY)
    [seen] = server.seen
    body = json.loads(seen.body)
    request = base64.b64decode(body["request"])
    assert seen.path == "/api/v1/cfssl/authsign"
    assert base64.b64decode(body["token"]) == hmac.digest(bytes.fromhex(KEY), request, hashlib.sha256)
    assert json.loads(request) == {"certificate_request": REQUEST.decode()}
    assert KEY.encode() not in seen.body


def test_a_token_that_is_not_hex_is_told_before_anybody_is_asked() -> None:
    with pytest.raises(Refused, match="hex") as raised:
        CfsslIssuer(url="https://127.0.0.1:1", ca_file="/nowhere", token="s3cret")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("step", "error", "says"),
    [
        (failed(9002, "CSR Decode failed"), Refused, "9002 CSR Decode failed"),
        (failed(0, "authentication required"), Refused, "token was refused"),
        (failed(0, "invalid token"), Refused, "token was refused"),
        (failed(405, "Method is not allowed", 405), ConfigError, "enroll.url"),
        (answer(404, b"404 page not found", "text/plain"), ConfigError, "enroll.url"),
        (answer(500, b"boom", "text/plain"), TryLater, "boom"),
        (answer(302, location="https://127.0.0.1:1/"), ConfigError, "redirect"),
        (answer(200, b"<html>", "text/html"), TryLater, "web page"),
        (answer(200, b'{"success": tr'), UnusableAnswer, "no success"),
        (answer(200, b'{"success": true, "result": {}}'), UnusableAnswer, "no certificate"),
        (answer(200, b"[]"), UnusableAnswer, "no success"),
    ],
)
def test_each_other_answer_says_who_must_act(tmp_path: Path, step: Step, error: type[AgentError], says: str) -> None:
    with serving(tmp_path, step) as server, pytest.raises(error, match=says):
        issue(server, token=KEY)
