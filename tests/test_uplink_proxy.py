"""The way to the shield through a proxy's tunnel, whatever kind of host either is."""

import contextlib
import socket
import threading
from pathlib import Path

import pytest
from world.identities import authority
from world.server import Server, Step, answer, raw, serving

from agent.delivery import Answer, Verdict
from agent.uplink import Target, Uplink

BODY = b'{"temperature": "21.437", "time": "2026-11-22T12:00:00Z"}'


def uplink(url: str, proxy: str) -> Uplink:
    return Uplink(Target(url, str(authority().certificate_file), 5.0, proxy=proxy), None)


def post(url: str, proxy: str) -> Answer:
    line = uplink(url, proxy)
    try:
        return line.post(BODY, key="k")
    finally:
        line.close()


def tunnel(server: Server, requests: list[bytes]) -> Step:
    """A proxy that knows CONNECT only."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)

    def step(sock: socket.socket, _: Server) -> bool:
        requests.append(sock.recv(65536))
        with socket.create_connection(("127.0.0.1", server.port)) as onward:
            sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(onward, sock), daemon=True)
            back.start()
            pump(sock, onward)
        return False

    return step


def test_a_proxy_is_used_and_sees_only_the_tunnel(tmp_path: Path) -> None:
    requests: list[bytes] = []
    with (
        serving(tmp_path, answer(201), names=["shield.example.com"]) as server,
        serving(tmp_path, before_tls=tunnel(server, requests)) as proxy,
    ):
        line = uplink(f"https://shield.example.com:{server.port}/temps", f"http://u:p@127.0.0.1:{proxy.port}")
        verdicts = [line.post(BODY, key="k").verdict for _ in range(3)]
        line.close()
    assert verdicts == [Verdict.ACK] * 3
    [connect] = requests
    assert connect.startswith(f"CONNECT shield.example.com:{server.port} HTTP/1".encode())
    assert b"\r\nproxy-authorization: basic dtpw\r\n" in connect.lower()
    assert "proxy-authorization" not in server.seen[0].headers


def test_a_proxy_that_refuses_is_tried_again(tmp_path: Path) -> None:
    with serving(tmp_path, before_tls=raw(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as proxy:
        got = post("https://shield.example.com/temps", f"http://127.0.0.1:{proxy.port}")
    assert (got.verdict, got.ambiguous) == (Verdict.RETRY, False)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("[::1]", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("shield.example.com.", "shield.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_a_shield_behind_a_proxy_is_verified_by_any_kind_of_host(tmp_path: Path, host: str, name: str) -> None:
    with (
        serving(tmp_path, answer(201), names=[name]) as server,
        serving(tmp_path, before_tls=tunnel(server, [])) as proxy,
    ):
        got = post(f"https://{host}:{server.port}/temps", f"http://127.0.0.1:{proxy.port}")
    assert (got.verdict, got.detail) == (Verdict.ACK, "HTTP 201")


@pytest.mark.parametrize(("host", "name"), [("[::1]", "::2"), ("shield.example.com.", "example.com")])
def test_a_shield_of_another_name_behind_a_proxy_gets_not_a_byte(tmp_path: Path, host: str, name: str) -> None:
    with (
        serving(tmp_path, answer(201), names=[name]) as server,
        serving(tmp_path, before_tls=tunnel(server, [])) as proxy,
    ):
        got = post(f"https://{host}:{server.port}/temps", f"http://127.0.0.1:{proxy.port}")
    assert (got.verdict, server.bytes_seen) == (Verdict.MISDIRECTED, 0)


def test_a_proxy_is_reached_by_an_ipv6_address(tmp_path: Path) -> None:
    with (
        serving(tmp_path, answer(201)) as server,
        serving(tmp_path, before_tls=tunnel(server, [])) as proxy,
    ):
        got = post(server.url, f"http://[::ffff:127.0.0.1]:{proxy.port}")
    assert (got.verdict, got.detail) == (Verdict.ACK, "HTTP 201")
