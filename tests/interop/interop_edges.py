"""The real parts: the tutorial's Worker in the Workers runtime, nginx and Caddy as edges, the agent as its user runs it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from interop import edges, runtime
from interop.edges import NAMES, Edges
from interop.runtime import Runtime
from world.rig import FREEZER_TABLE, Rig
from world.visitors import KINDS, READING, Pair, ask, connection, pair, visit

from agent.devshield.authority import Authority
from agent.devshield.shield import Setup, Shield

ADDRESS = "127.0.0.1"
BLOCKED = dict.fromkeys(("foreign", "self-signed", "expired", "not-yet", "server-only"))
GOOD = {"p256": 201, "rsa2048": 201}
MATRIX: dict[str, dict[str, int | str]] = {
    "strict": {**GOOD, **dict.fromkeys(BLOCKED, 403), "none": 403, "revoked": 403},
    "default": {**GOOD, **dict.fromkeys(BLOCKED, 403), "none": 403, "revoked": 201},
    "plain": {**GOOD, **dict.fromkeys(BLOCKED, 400), "none": 400, "revoked": 400},
    "caddy": {**GOOD, **dict.fromkeys(BLOCKED, "tls"), "none": 403, "revoked": 201},
}


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """One runtime for all tests."""
    with runtime.run(tmp_path_factory.mktemp("runtime")) as made:
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> dict[str, Pair | None]:
    """A pair of every kind; none for "none"."""
    directory = tmp_path_factory.mktemp("pairs")
    made: dict[str, Pair | None] = {kind: pair(directory, kind, authority) for kind in KINDS}
    (directory / "revoked").mkdir()
    return {**made, "revoked": pair(directory / "revoked", "p256", authority), "none": None}


@pytest.fixture(scope="module")
def fence(
    tmp_path_factory: pytest.TempPathFactory, worker: Runtime, authority: Authority, shown: dict[str, Pair | None]
) -> Iterator[Edges]:
    """All edges, which know that one of the certificates is revoked."""
    directory = tmp_path_factory.mktemp("edges")
    key, certificate = authority.issue_server([ADDRESS, "localhost"])
    server = directory / "server.pem", directory / "server-key.pem"
    server[0].write_bytes(certificate)
    server[1].write_bytes(key)
    with edges.run(directory / "run", worker, authority, server) as made:
        revoked = shown["revoked"]
        assert revoked is not None
        made.revoke([x509.load_pem_x509_certificate(revoked[0].read_bytes()).serial_number])
        yield made


CELLS = [(edge, kind, expected) for edge, row in MATRIX.items() for kind, expected in row.items()]


@pytest.mark.parametrize(("edge", "kind", "expected"), CELLS, ids=[f"{edge}-{kind}" for edge, kind, _ in CELLS])
def test_certificate_at_edge(
    fence: Edges, worker: Runtime, shown: dict[str, Pair | None], edge: str, kind: str, expected: int | str
) -> None:
    worker.meet(ADDRESS)

    assert fence.status(edge, shown[kind]) == expected
    assert len(worker.stored(ADDRESS)) == (expected == 201)


@pytest.mark.parametrize("rule", ["strict", "default"])
def test_development_shield_answers_as_nginx_does(
    tmp_path: Path, authority: Authority, shown: dict[str, Pair | None], rule: str
) -> None:
    for file in (authority.certificate_file, authority.key_file):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with Shield(Setup(tmp_path, rule="strict" if rule == "strict" else "default")) as shield:
        got = {kind: visit(shield, pair_).status for kind, pair_ in shown.items() if kind != "revoked"}

    assert got == {kind: status for kind, status in MATRIX[rule].items() if kind != "revoked"}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A board with one sensor; its certificates come from the development shield's API."""
    with Rig(tmp_path, sensors=FREEZER_TABLE) as made:
        yield made


@pytest.mark.parametrize("edge", NAMES)
def test_agent_enrolls_delivers_is_refused_and_recovers(tmp_path: Path, worker: Runtime, rig: Rig, edge: str) -> None:
    assert rig.shield is not None
    authority = Authority.open(tmp_path / "shield")
    server = tmp_path / "shield/server.pem", tmp_path / "shield/server-key.pem"
    worker.meet(ADDRESS)
    with edges.run(tmp_path / "edges", worker, authority, server) as fence:
        rig.configure(FREEZER_TABLE, shield=fence.url(edge))
        rig.enroll()
        rig.start()
        rig.until(lambda: len(worker.stored(ADDRESS)) >= 2)

        if edge in {"strict", "plain"}:
            [issue] = rig.shield.issued.all()
            rig.shield.issued.set_revoked(issue.fields["id"], revoked=True)
            fence.revoke([int(issue.fields["serial_number"])])
        else:
            fence.trust(tmp_path / "edges/foreign/ca.pem")
        refused_at = len(worker.stored(ADDRESS))
        # a TLS alert cannot always be told from a network that broke
        rig.until(lambda: rig.line() in ({"hold", "backoff"} if edge == "caddy" else {"hold"}))
        rig.until(lambda: rig.status()["spool"]["pending"] >= 2)
        held = rig.status()

        if edge in {"strict", "plain"}:
            done = rig.run("enroll", "--force")
            assert done.returncode == 0, done.stderr
        else:
            fence.trust(authority.certificate_file)
        rig.until(lambda: len(worker.stored(ADDRESS)) >= refused_at + 3, seconds=30)
        rig.until(lambda: rig.line() == "online")

    times = [reading["time"] for reading in worker.stored(ADDRESS)]
    assert held["spool"]["set_aside"] == 0
    assert times == sorted(set(times))
    assert {reading["temperature"] for reading in worker.stored(ADDRESS)} == {"-18"}


@pytest.mark.parametrize("edge", NAMES)
def test_reading_goes_through_the_edge_and_comes_back(
    fence: Edges, worker: Runtime, authority: Authority, shown: dict[str, Pair | None], edge: str
) -> None:
    worker.meet(ADDRESS)
    to = connection(authority.certificate_file, fence.ports[edge], shown["p256"])
    posted, got = ask(to), ask(to, "GET")
    to.close()

    assert (posted.status, got.status, json.loads(got.body)) == (201, 200, [json.loads(READING)])
