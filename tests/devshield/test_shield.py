"""The shield as a whole: what outlives a restart, what is written down, how it ends."""

import hashlib
import json
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from world.visitors import READING, Pair, ask, connect, visit

from agent.devshield.api_port import ApiPort
from agent.devshield.authority import Authority
from agent.devshield.certificates_api import CertificatesApi
from agent.devshield.edge import Visitor
from agent.devshield.exchange import Request
from agent.devshield.faults import Faults
from agent.devshield.issued import Issued
from agent.devshield.shield import Setup, Shield
from agent.devshield.tokens import Tokens
from agent.devshield.zone_api import ZoneApi
from agent.devshield.zone_state import ZoneState
from agent.errors import CannotWrite, ConfigError, TryLater

BODIES = [f'{{"temperature": "{n}", "time": "2026-11-23T09:14:2{n}Z"}}'.encode() for n in (1, 2, 3)]


def switch(shield: Shield, path: str, body: object = None, *, method: str = "POST") -> tuple[int, Any]:
    """A request to one of the API port's own paths."""
    connection = connect(shield, port=shield.api_port)
    try:
        got = ask(connection, method, json.dumps(body).encode(), path)
        return got.status, json.loads(got.body)
    finally:
        connection.close()


def test_get_answers_with_what_was_posted(shield: Shield, device: Pair) -> None:
    before = visit(shield, device, "GET").body
    for body in BODIES:
        visit(shield, device, body=body)
    after = json.loads(visit(shield, device, "GET").body)
    assert (before, after) == (b'{"temperatures":[]}', [json.loads(body) for body in reversed(BODIES)])


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_any_method_but_post_lists_on_any_path(shield: Shield, device: Pair, method: str) -> None:
    visit(shield, device)
    connection = connect(shield, device)
    got = ask(connection, method, path="/nope?x=1")
    connection.close()
    assert (got.status, got.headers["Content-Type"], json.loads(got.body)) == (
        *(200, "application/json"),
        [json.loads(READING)],
    )


def test_head_has_the_length_and_no_body(shield: Shield, device: Pair) -> None:
    got = visit(shield, device, "HEAD")
    assert (got.status, got.headers["Content-Length"], got.body) == (200, "19", b"")


def test_connection_is_kept_alive_through_good_and_bad_answers(shield: Shield, device: Pair) -> None:
    connection = connect(shield, device)
    statuses = [ask(connection, body=body).status for body in (READING, b"{", b"{}", READING)]
    own = connection.sock
    statuses.append(ask(connection, "GET").status)
    assert (statuses, connection.sock is own, own is not None) == ([201, 500, 400, 201, 200], True, True)
    connection.close()


def test_body_in_chunks_is_read_whole(shield: Shield, device: Pair) -> None:
    to = connect(shield, device)
    to.request("POST", "/temps", body=iter([READING[:9], READING[9:]]), encode_chunked=True)
    first = to.getresponse()
    first.read()
    statuses = [first.status, ask(to).status]
    to.close()
    assert (statuses, [row["body"] for row in shield.requests()]) == ([201, 201], [READING.decode()] * 2)


@pytest.mark.parametrize(
    "header", [b"Content-Length: x", b"Content-Length: -1", b"Transfer-Encoding: chunked\r\n\r\nzz"]
)
def test_body_that_cannot_be_read_is_400_and_the_end_of_the_connection(
    shield: Shield, device: Pair, header: bytes
) -> None:
    to = connect(shield, device)
    to.connect()
    to.sock.sendall(b"POST /temps HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
    answer = b""
    while part := to.sock.recv(4096):
        answer += part
    to.close()
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_requests_are_written_down_with_what_a_test_counts(shield: Shield, device: Pair) -> None:
    connection = connect(shield, device)
    connection.request("POST", "/temps", body=READING, headers={"Idempotency-Key": '"sensor-001-7"'})
    connection.getresponse().read()
    connection.close()
    [row] = shield.requests()
    der = ssl.PEM_cert_to_DER_cert(device[0].read_text())
    assert (row["method"], row["status"], row["stored"], row["idempotency_key"]) == (
        "POST",
        201,
        True,
        '"sensor-001-7"',
    )
    assert (row["body"], row["verified"]) == (READING.decode(), "SUCCESS")
    assert row["fingerprint_sha256"] == hashlib.sha256(der).hexdigest()


def test_restart_on_the_same_port_keeps_readings_certificates_tokens_and_authority(home: Path, device: Pair) -> None:
    setup = Setup(home)
    with Shield(setup) as first:
        visit(first, device, body=BODIES[0])
        token, where = first.tokens.zone_file.read_text(), first.where
    with Shield(Setup(home, port=where["port"], api_port=where["api_port"])) as second:
        visit(second, device, body=BODIES[1])
        listed = json.loads(visit(second, device, "GET").body)
        assert (second.where, second.tokens.zone_file.read_text()) == (where, token)
    assert listed == [json.loads(BODIES[1]), json.loads(BODIES[0])]


def test_new_directory_gets_an_authority_of_its_own(tmp_path: Path, device: Pair) -> None:
    with Shield(Setup(tmp_path / "deep" / "down", tls="stdlib")) as shield:
        assert shield.ca_file.exists()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            visit(shield, device)


def test_close_ends_open_connections_and_slow_faults_at_once(home: Path, device: Pair) -> None:
    before = set(threading.enumerate())
    shield = Shield(Setup(home, faults=("slow:3600",)))
    idle, busy = connect(shield, device), connect(shield, device)
    idle.connect()
    busy.request("POST", "/temps", body=READING)
    begun = time.monotonic()
    shield.close()
    assert time.monotonic() - begun < 2.0
    assert set(threading.enumerate()) <= before
    for connection in (idle, busy):
        connection.close()
    with pytest.raises(ConnectionRefusedError):
        visit(shield, device)


def test_second_shield_on_a_directory_is_refused(home: Path) -> None:
    with Shield(Setup(home)), pytest.raises(TryLater, match="another shield"):
        Shield(Setup(home))


def test_port_in_use_is_a_mistake_in_the_command_and_frees_the_directory(home: Path, tmp_path: Path) -> None:
    with Shield(Setup(home)) as first:
        second = tmp_path / "second"
        with pytest.raises(ConfigError, match=f"port {first.port}: cannot listen"):
            Shield(Setup(second, api_port=first.port))
        Shield(Setup(second)).close()


def test_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="file/below"):
        Shield(Setup(tmp_path / "file" / "below"))


def test_faults_are_switched_while_it_runs(shield: Shield, device: Pair) -> None:
    assert switch(shield, "/__fault", {"shield": ["503*1"], "api": ["500"]})[0] == 200
    connection = connect(shield, device)
    statuses = [ask(connection).status for _ in range(2)]
    connection.close()
    assert statuses == [503, 201]


@pytest.mark.parametrize(
    "wanted", [{"shield": ["nonsense"]}, {"shield": "lost"}, {"shield": [1]}, {"worker": ["lost"]}, ["lost"], None]
)
def test_faults_that_cannot_be_read_are_refused_whole(shield: Shield, device: Pair, wanted: object) -> None:
    switch(shield, "/__fault", {"shield": ["503"]})
    assert switch(shield, "/__fault", wanted)[0] == 400
    assert visit(shield, device).status == 503


def test_switches_take_nothing_but_a_post(shield: Shield) -> None:
    assert [switch(shield, path, method="GET")[0] for path in ("/__fault", "/__token")] == [405, 405]


@pytest.mark.parametrize(("address", "status"), [("127.0.0.1", 200), ("::1", 200), ("192.0.2.7", 403)])
def test_switches_are_for_loopback_only(home: Path, authority: Authority, address: str, status: int) -> None:
    now = time.time
    issued, tokens = Issued(home / "certificates", authority, now=now), Tokens(home)
    api = ZoneApi(CertificatesApi(issued, tokens, now=now), ZoneState(home, now=now), tokens)
    port = ApiPort(api=api, authority=authority, tokens=tokens, faults=Faults(), stop=threading.Event())
    outcome = port(Request("POST", "/__token", {}, b"", address, Visitor()))
    assert outcome.reply is not None
    assert outcome.reply.status == status


def test_token_path_makes_a_one_time_token(shield: Shield) -> None:
    status, answer = switch(shield, "/__token")
    assert (status, shield.tokens.is_unspent(answer["token"])) == (200, True)


def test_api_asks_for_no_client_certificate(shield: Shield) -> None:
    connection = connect(shield, port=shield.api_port)
    got = ask(connection, "GET", path="/client/v4/client_certificates")
    connection.close()
    assert json.loads(got.body)["errors"][0]["code"] == 9106
