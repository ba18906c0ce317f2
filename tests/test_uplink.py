"""The uplink against a real TLS server on loopback: what each kind of answer, silence and damage amounts to."""

import itertools
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from net.fault_proxy import proxied, records
from world.identities import authority, put_pair
from world.server import Step, answer, close, hang, raw, reset, serving

from agent import pem
from agent.delivery import Answer, Verdict
from agent.devshield.authority import Authority
from agent.uplink import Target, Uplink
from agent.uplink.deadline import Deadline
from agent.uplink.outcome import fault
from agent.uplink.tls import tls_context

BODY = b'{"temperature": "21.437", "time": "2026-11-22T12:00:00Z"}'
NGINX_400 = b"<html><head><title>400 No required SSL certificate was sent</title></head></html>"
BLOCKED = b"<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head></html>"


def uplink(url: str, *, pair: tuple[str, str] | None = None, seconds: float = 5.0, **more: object) -> Uplink:
    target = Target(url, str(authority().certificate_file), seconds, **more)  # type: ignore[arg-type]
    return Uplink(target, pair)


def post(url: str, **more: object) -> Answer:
    line = uplink(url, **more)  # type: ignore[arg-type]
    try:
        return line.post(BODY, key="rpi-1-7")
    finally:
        line.close()


@pytest.mark.parametrize(
    ("step", "verdict", "status"),
    [
        (answer(201), Verdict.ACK, 201),
        (answer(200, b"<html>Welcome to the hotel</html>", "text/html"), Verdict.MISDIRECTED, 200),
        (answer(301, location="https://127.0.0.1/elsewhere"), Verdict.MISDIRECTED, 301),
        (answer(302, location="/elsewhere"), Verdict.MISDIRECTED, 302),
        (answer(307, location="/elsewhere"), Verdict.MISDIRECTED, 307),
        (answer(400, b'{"error":"temperature is missing"}'), Verdict.REJECT, 400),
        (answer(400, NGINX_400, "text/html"), Verdict.HOLD, 400),
        (answer(403, BLOCKED, "text/html"), Verdict.HOLD, 403),
        (answer(404, b"nothing here"), Verdict.MISDIRECTED, 404),
        (answer(500, b"Error: KV PUT failed: 429 Too Many Requests"), Verdict.RETRY, 500),
        (answer(520), Verdict.RETRY, 520),
        (raw(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), Verdict.ACK, 201),
        (raw(b"HTTP/1.0 201 Created\r\n\r\nok"), Verdict.ACK, 201),
        (raw(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\ncut sh"), Verdict.ACK, 201),
        (raw(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), Verdict.ACK, 201),
    ],
)
def test_an_answer_is_judged(tmp_path: Path, step: Step, verdict: Verdict, status: int) -> None:
    with serving(tmp_path, step) as server:
        got = post(server.url)
    assert (got.verdict, got.status, got.ambiguous) == (verdict, status, False)
    assert len(server.seen) == 1  # nothing was followed or sent twice


@pytest.mark.parametrize(
    ("step", "ambiguous"),
    [
        (close, True),
        (reset, True),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), True),
        (raw(b"HTTP/1.1 20"), True),
        (raw(b"HTTP/1.1 500 Error\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), True),
        (raw(b"HTTP/1.1 201 Created\r\n" + b"X: y\r\n" * 200 + b"\r\n"), True),
        (raw(b"HTTP/1.1 abc Created\r\n\r\n"), True),
    ],
)
def test_an_answer_that_is_none_is_tried_again(tmp_path: Path, step: Step, ambiguous: bool) -> None:
    with serving(tmp_path, step) as server:
        got = post(server.url)
    assert (got.verdict, got.status, got.ambiguous) == (Verdict.RETRY, None, ambiguous)
    assert len(server.seen) == 1


def test_a_reset_before_the_handshake_cannot_have_stored_anything(tmp_path: Path) -> None:
    with serving(tmp_path, before_tls=reset) as server:
        got = post(server.url)
    assert (got.verdict, got.ambiguous) == (Verdict.RETRY, False)


def test_a_server_without_tls_cannot_have_stored_anything(tmp_path: Path) -> None:
    with serving(tmp_path, before_tls=raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        got = post(server.url)
    assert (got.verdict, got.ambiguous) == (Verdict.RETRY, False)


def test_nobody_there_is_tried_again(tmp_path: Path) -> None:
    with serving(tmp_path, answer(201)) as server:
        url = server.url
    got = post(url)
    assert (got.verdict, got.ambiguous) == (Verdict.RETRY, False)
    assert "refused" in got.detail


def test_an_unknown_name_is_tried_again() -> None:
    got = post("https://no-such-host.invalid/temps")
    assert (got.verdict, got.ambiguous) == (Verdict.RETRY, False)


@pytest.mark.parametrize(
    ("header", "seconds"), [("17", 17.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("99999", 3600.0), ("soon", None)]
)
def test_a_retry_after_is_handed_on(tmp_path: Path, header: str, seconds: float | None) -> None:
    with serving(tmp_path, answer(429, retry_after=header)) as server:
        got = post(server.url)
    assert (got.verdict, got.retry_after) == (Verdict.RETRY, seconds)


def test_the_detail_names_status_ray_and_first_words_and_is_safe_to_log(tmp_path: Path) -> None:
    with serving(tmp_path, answer(403, b"no\x1b[31m\r\n entry \xff", "text/plain", cf_ray="8f2-FRA")) as server:
        got = post(server.url)
    assert got.detail == "HTTP 403, CF-Ray 8f2-FRA: no?[31m entry �"


def test_a_request_is_one_reading_with_its_key(tmp_path: Path) -> None:
    with serving(tmp_path, answer(201)) as server:
        post(server.url)
    [seen] = server.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/temps", BODY)
    assert seen.headers == {
        "host": f"127.0.0.1:{server.port}",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": str(len(BODY)),
        "user-agent": "sensor-agent",
        "accept": "*/*",
        "idempotency-key": '"rpi-1-7"',
    }


def test_a_retry_is_byte_identical_under_the_same_key(tmp_path: Path) -> None:
    with serving(tmp_path, answer(500), reset, answer(201)) as server:
        line = uplink(server.url)
        verdicts = [line.post(BODY, key="rpi-1-7").verdict for _ in range(3)]
        line.close()
    assert verdicts == [Verdict.RETRY, Verdict.RETRY, Verdict.ACK]
    assert len({(seen.body, *seen.headers.items()) for seen in server.seen}) == 1


def test_many_readings_go_over_one_connection(tmp_path: Path) -> None:
    with serving(tmp_path, answer(201, b"stored")) as server:
        line = uplink(server.url)
        assert all(line.post(BODY, key=f"rpi-1-{seq}").verdict is Verdict.ACK for seq in range(20))
        line.close()
    assert (len(server.seen), server.connections) == (20, 1)


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again(tmp_path: Path) -> None:
    with serving(tmp_path, answer(201, connection="close")) as server:
        line = uplink(server.url)
        assert [line.post(BODY, key="k").verdict for _ in range(2)] == [Verdict.ACK, Verdict.ACK]
        line.close()
    assert server.connections == 2


def test_a_refused_device_shows_its_certificate_anew_with_the_next_request(tmp_path: Path) -> None:
    with serving(tmp_path, answer(403, BLOCKED, "text/html"), answer(500), answer(201)) as server:
        line = uplink(server.url)
        verdicts = [line.post(BODY, key="k").verdict for _ in range(3)]
        line.close()
    assert verdicts == [Verdict.HOLD, Verdict.RETRY, Verdict.ACK]
    assert [seen.connection for seen in server.seen] == [0, 1, 1]


def test_a_key_that_would_end_its_header_field_is_no_request(tmp_path: Path) -> None:
    with serving(tmp_path, answer(201)) as server:
        line = uplink(server.url)
        for key in ("a\r\nX: y", "a\nb", "ü"):
            with pytest.raises(ValueError, match="key"):
                line.post(BODY, key=key)
        line.close()
    assert not server.seen


def test_a_connection_idle_for_long_is_not_used_again(tmp_path: Path) -> None:
    now = [0.0]
    with serving(tmp_path, answer(201)) as server:
        target = Target(server.url, str(authority().certificate_file), 5.0)
        line = Uplink(target, None, monotonic=lambda: now[0])
        for at in (0.0, 299.0, 700.0):
            now[0] = at
            line.post(BODY, key="k")
        line.close()
    assert [seen.connection for seen in server.seen] == [0, 0, 1]


@pytest.mark.parametrize(("size", "connections"), [(65_536, 1), (65_537, 2), (5_000_000, 2)])
def test_a_long_answer_is_read_to_64_kib_and_its_connection_given_up(
    tmp_path: Path, size: int, connections: int
) -> None:
    with serving(tmp_path, answer(201, b"x" * size)) as server:
        line = uplink(server.url)
        assert [line.post(BODY, key="k").verdict for _ in range(2)] == [Verdict.ACK, Verdict.ACK]
        line.close()
    assert server.connections == connections


def test_a_server_of_an_unknown_authority_gets_not_a_byte(tmp_path: Path) -> None:
    other = Authority.create(tmp_path / "other")
    with serving(tmp_path, answer(201), pair=other.issue_server(["127.0.0.1"])) as server:
        got = post(server.url)
    assert (got.verdict, got.ambiguous, server.bytes_seen) == (Verdict.MISDIRECTED, False, 0)
    assert "does not verify" in got.detail


def test_a_server_of_another_name_gets_not_a_byte(tmp_path: Path) -> None:
    with serving(tmp_path, answer(201), names=["shield.example.com", "127.0.0.2"]) as server:
        got = post(server.url)
    assert (got.verdict, got.ambiguous, server.bytes_seen) == (Verdict.MISDIRECTED, False, 0)


def test_a_name_is_looked_up_and_verified(tmp_path: Path) -> None:
    with serving(tmp_path, answer(201), names=["localhost"]) as server:
        assert post(server.url.replace("127.0.0.1", "localhost")).verdict is Verdict.ACK


@pytest.mark.parametrize("tls13", [True, False], ids=["TLS 1.3", "TLS 1.2"])
def test_the_certificate_is_shown(tmp_path: Path, tls13: bool) -> None:
    with serving(tmp_path, answer(201), client_ca=True, tls13=tls13) as server:
        assert post(server.url, pair=put_pair(tmp_path / "device")).verdict is Verdict.ACK


@pytest.mark.parametrize("tls13", [True, False], ids=["TLS 1.3", "TLS 1.2"])
@pytest.mark.parametrize("whose", ["none", "another authority's"])
def test_a_refusal_in_the_handshake_keeps_the_reading(tmp_path: Path, tls13: bool, whose: str) -> None:
    pair = None if whose == "none" else _foreign_pair(tmp_path)
    with serving(tmp_path, answer(201), client_ca=True, tls13=tls13) as server:
        got = post(server.url, pair=pair)
    assert got.verdict is Verdict.HOLD
    assert not server.seen


def test_a_refusal_is_heard_on_a_connection_that_can_no_longer_be_written_to(tmp_path: Path) -> None:
    refusing = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # TLS 1.3: it sees the certificate after our handshake
    key, certificate = authority().issue_server(["127.0.0.1"])
    (tmp_path / "server.pem").write_bytes(key + certificate)
    refusing.load_cert_chain(tmp_path / "server.pem")
    refusing.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            peer, _ = listener.accept()
            with peer, suppress(ssl.SSLError):
                refusing.wrap_socket(peer, server_side=True)

        server = threading.Thread(target=refuse, daemon=True)
        server.start()
        deadline = Deadline()
        deadline.start(5.0)
        context = tls_context(str(authority().certificate_file), deadline, "127.0.0.1", _foreign_pair(tmp_path))
        with context.wrap_socket(socket.create_connection(listener.getsockname())) as line:
            server.join()
            with pytest.raises(ssl.SSLError, match="ALERT") as raised:
                all(line.send(b"POST") for _ in itertools.count())
    assert fault(raised.value, sent=True).verdict is Verdict.HOLD


def _foreign_pair(directory: Path) -> tuple[str, str]:
    key = pem.new_key("p256")
    other = Authority.create(directory / "other")
    (directory / "foreign.pem").write_bytes(other.sign(pem.signing_request(key, name="x", subject={})))
    (directory / "foreign-key.pem").write_bytes(key)
    return str(directory / "foreign.pem"), str(directory / "foreign-key.pem")


def _missing(cert: Path, _: Path) -> None:
    cert.unlink()


def _missing_key(_: Path, key: Path) -> None:
    key.unlink()


def _empty(cert: Path, _: Path) -> None:
    cert.write_bytes(b"")


def _mismatched(_: Path, key: Path) -> None:
    key.write_bytes(pem.new_key("p256"))


@pytest.mark.parametrize("damage", [_missing, _missing_key, _empty, _mismatched])
def test_a_pair_that_does_not_load_is_an_answer(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    cert, key = put_pair(tmp_path / "device")
    damage(Path(cert), Path(key))
    with serving(tmp_path, answer(201)) as server:
        got = post(server.url, pair=(cert, key))
    assert (got.verdict, got.ambiguous, server.connections) == (Verdict.HOLD, False, 0)


def test_the_answer_to_a_get_is_judged_too(tmp_path: Path) -> None:
    with serving(tmp_path, answer(200, b"[]")) as server:
        line = uplink(server.url)
        got = line.get()
        line.close()
    assert (got.status, server.seen[0].method, server.seen[0].body) == (200, "GET", b"")


CHILD = """
import sys
from agent.uplink import Target, Uplink
line = Uplink(Target(sys.argv[1], sys.argv[2], 5.0), None)
print(line.post(b"{}", key="k").verdict.name)
line.close()
"""


def in_environment(environ: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHILD, *arguments],
        env=_paths() | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def _paths() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.mark.parametrize(
    "variables",
    [
        ["REQUESTS_CA_BUNDLE"],
        ["CURL_CA_BUNDLE"],
        ["SSL_CERT_FILE"],
        ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"],
    ],
    ids=" ".join,
)
def test_the_environment_changes_neither_authorities_nor_the_way(tmp_path: Path, variables: Sequence[str]) -> None:
    value = "http://127.0.0.1:9" if "PROXY" in variables[0] else str(tmp_path / "nothing.pem")
    with serving(tmp_path, answer(201)) as server:
        got = in_environment(dict.fromkeys(variables, value), server.url, str(authority().certificate_file))
    assert got == "ACK"


def test_an_authority_of_the_environment_is_not_trusted(tmp_path: Path) -> None:
    other = Authority.create(tmp_path / "other")
    environ = {"REQUESTS_CA_BUNDLE": str(authority().certificate_file)}
    with serving(tmp_path, answer(201)) as server:
        assert in_environment(environ, server.url, str(other.certificate_file)) == "MISDIRECTED"


def test_a_netrc_is_not_read(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password secret\n")
    with serving(tmp_path, answer(201)) as server:
        environ = {"HOME": str(tmp_path), "NETRC": str(tmp_path / ".netrc")}
        assert in_environment(environ, server.url, str(authority().certificate_file)) == "ACK"
    assert "authorization" not in server.seen[0].headers


def test_head_and_body_leave_in_one_tls_record(tmp_path: Path) -> None:
    sent = []
    with serving(tmp_path, answer(201)) as server, proxied(server.port) as proxy:
        line = uplink(server.url.replace(str(server.port), str(proxy.port)))
        for seq in range(4):
            line.post(BODY, key=f"rpi-1-{seq}")
            sent.append(len(records(proxy.up[0])))
        line.close()
    assert [after - before for before, after in itertools.pairwise(sent)] == [1, 1, 1]


@pytest.mark.parametrize("step", [close, reset])
def test_a_request_that_dies_on_a_connection_used_before_found_it_stale(tmp_path: Path, step: Step) -> None:
    with serving(tmp_path, answer(201), step, step) as server:
        line = uplink(server.url)
        answers = [line.post(BODY, key="k") for _ in range(3)]
        line.close()
    assert [got.verdict for got in answers] == [Verdict.ACK, Verdict.RETRY, Verdict.RETRY]
    assert [got.stale for got in answers] == [False, True, False]
    assert len(server.seen) == 3


def test_a_connection_used_before_that_hangs_or_answers_in_part_is_not_stale(tmp_path: Path) -> None:
    for step in (hang, raw(b"HTTP/1.1 20")):
        with serving(tmp_path, answer(201), step) as server:
            line = uplink(server.url, seconds=0.5)
            answers = [line.post(BODY, key="k") for _ in range(2)]
            line.close()
        assert (answers[1].ambiguous, answers[1].stale) == (True, False)


@pytest.mark.parametrize(
    ("step", "listed"),
    [
        (answer(200, b"[" + BODY + b"]"), True),
        (answer(200, b'{"temperatures":[]}'), False),
        (answer(200, b"<html>Welcome to the hotel</html>", "text/html"), False),
        (answer(403, b"[" + BODY + b"]"), False),
        (answer(500, b"ReferenceError: data is not defined"), False),
        (close, False),
    ],
)
def test_the_shield_is_asked_what_it_lists(tmp_path: Path, step: Step, listed: bool) -> None:
    with serving(tmp_path, step) as server:
        line = uplink(server.url)
        answer, found = line.recent()
        line.close()
    assert found == ([json.loads(BODY)] if listed else [])
    assert (answer.status is None) is (step is close)
    assert [seen.method for seen in server.seen] == ["GET"]
