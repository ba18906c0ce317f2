"""Every kind of client certificate against every rule, over real TLS, with and without pyOpenSSL."""

import shutil
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from world.visitors import KINDS, NAME, Pair, ask, connect, pair, put, visit

from agent import pem
from agent.devshield.authority import Authority
from agent.devshield.edge import Rule, Tls, admits, pyopenssl_installed
from agent.devshield.edge import Visitor as Shown
from agent.devshield.issued import Issued
from agent.devshield.shield import Setup, Shield

EDGES: list[tuple[Tls, Rule]] = [(tls, rule) for tls in ("pyopenssl", "stdlib") for rule in ("default", "strict")]
LET_IN = {"p256", "rsa2048"}
WITHOUT = pytest.mark.skipif(not pyopenssl_installed(), reason="pyOpenSSL is the extra `shield`")


@dataclass
class Clock:
    """UNIX seconds that pass when told."""

    now: float = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Edge:
    """A shield, and a client of each kind; the revoked one is known to it."""

    shield: Shield
    shown: dict[str, Pair]
    tls: Tls
    rule: Rule


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> dict[str, Pair]:
    return {kind: pair(tmp_path_factory.mktemp(kind), kind, authority) for kind in KINDS}


@pytest.fixture(scope="module", params=EDGES, ids="-".join)
def edge(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    authority: Authority,
    shown: dict[str, Pair],
) -> Iterator[Edge]:
    tls, rule = request.param
    if tls == "pyopenssl" and not pyopenssl_installed():
        pytest.skip("pyOpenSSL is the extra `shield`")
    home = tmp_path_factory.mktemp("edge")
    for file in (authority.certificate_file, authority.key_file):
        shutil.copy(file, home)
    clock = Clock()
    revoked = revoke_one(home, authority, clock)
    clock.now += 60
    with Shield(Setup(home, rule=rule, tls=tls), now=clock) as shield:
        yield Edge(shield, {**shown, "revoked": revoked}, tls, rule)


def revoke_one(home: Path, authority: Authority, clock: Clock) -> Pair:
    """A certificate that the shield in that directory has issued and revoked."""
    key = pem.new_key("p256")
    issued = Issued(home / "certificates", authority, now=clock)
    issue = issued.issue(pem.signing_request(key, name=NAME, subject={}), validity_days=30)
    issued.set_revoked(issue.fields["id"], revoked=True)
    return put(home, "revoked", issue.fields["certificate"].encode(), key)


def test_no_certificate_is_403_with_a_page_and_a_ray_id(edge: Edge) -> None:
    got = visit(edge.shield)
    assert (got.status, got.headers["Content-Type"]) == (403, "text/html; charset=UTF-8")
    assert got.headers["CF-Ray"].encode() in got.body


@pytest.mark.parametrize("kind", KINDS)
def test_certificate_is_let_in_if_it_verifies(edge: Edge, kind: str) -> None:
    if kind in LET_IN:
        assert visit(edge.shield, edge.shown[kind]).status == 201
    elif edge.tls == "pyopenssl":
        assert visit(edge.shield, edge.shown[kind]).status == 403
    else:  # the alert may race the request, and then a bare end of file is all there is
        with pytest.raises((ssl.SSLError, ConnectionError)):
            visit(edge.shield, edge.shown[kind])


def test_revoked_certificate_is_kept_out_by_the_strict_rule_only(edge: Edge) -> None:
    assert visit(edge.shield, edge.shown["revoked"]).status == (403 if edge.rule == "strict" else 201)


@WITHOUT
def test_certificate_that_does_not_verify_is_written_down_with_the_reason(home: Path, shown: dict[str, Pair]) -> None:
    with Shield(Setup(home, tls="pyopenssl")) as shield:
        for kind in ("expired", "not-yet", "server-only", "self-signed", "foreign"):
            visit(shield, shown[kind])
        assert [row["verified"] for row in shield.requests()] == [
            "FAILED:certificate has expired",
            "FAILED:certificate is not yet valid",
            "FAILED:unsupported certificate purpose",
            "FAILED:self signed certificate",
            "FAILED:unable to get local issuer certificate",
        ]


@WITHOUT
@pytest.mark.parametrize("tls_version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_session_of_a_bad_certificate_cannot_be_resumed_as_a_good_one(
    home: Path, shown: dict[str, Pair], tls_version: ssl.TLSVersion
) -> None:
    """A resumed handshake does not verify again, so the verdict of the first one would be forgotten."""
    with Shield(Setup(home, tls="pyopenssl")) as shield:
        context = ssl.create_default_context(cafile=str(shield.ca_file))
        context.maximum_version = tls_version
        context.load_cert_chain(*shown["expired"])
        statuses: list[bytes] = []
        session: ssl.SSLSession | None = None
        for _ in range(2):
            plain = socket.create_connection(("127.0.0.1", shield.port), timeout=10)
            with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as tls:
                tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                statuses.append(tls.recv(12))
                session = tls.session
    assert statuses == [b"HTTP/1.1 403"] * 2


def test_revocation_reaches_a_connection_that_is_open(home: Path) -> None:
    key = pem.new_key("p256")
    clock = Clock()
    with Shield(Setup(home, rule="strict"), now=clock) as shield:
        issue = shield.issued.issue(pem.signing_request(key, name=NAME, subject={}), validity_days=30)
        connection = connect(shield, put(home, "own", issue.fields["certificate"].encode(), key))
        before = ask(connection).status
        shield.issued.set_revoked(issue.fields["id"], revoked=True)
        pending = ask(connection).status
        clock.now += 2
        after = ask(connection).status
        connection.close()
    assert (before, pending, after) == (201, 201, 403)


@pytest.mark.parametrize(
    ("verified", "revoked", "default", "strict"),
    [
        ("SUCCESS", False, True, True),
        ("SUCCESS", True, True, False),
        ("NONE", False, False, False),
        ("FAILED:certificate has expired", False, False, False),
    ],
)
def test_rule_admits(verified: str, revoked: bool, default: bool, strict: bool) -> None:
    visitor = Shown(verified, "ab" * 32)
    assert admits(visitor, "default", revoked=revoked) is default
    assert admits(visitor, "strict", revoked=revoked) is strict
