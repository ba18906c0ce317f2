"""Clients of the Worker by way of nginx, each with its certificate: the tutorial's, unchanged, and the agent."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from interop import deployed, edges
from interop.deployed import Deployed
from interop.edges import Edges
from world.rig import FREEZER_TABLE, Rig
from world.visitors import Pair, pair

from agent import pkcs12
from agent.devshield.authority import Authority

READER = Path(__file__).with_name("Reader.java")
READING = {"temperature": "36.5", "time": "2026-11-23T09:14:22Z"}
PASSWORD = "correct horse ~"


@dataclass(frozen=True, slots=True)
class World:
    """The Worker behind its edges; `pairs` are a device's, a phone's that may see it, and a stranger's."""

    worker: Deployed
    edges: Edges
    ca_file: Path
    pairs: dict[str, Pair]

    def kept(self, who: str) -> object:
        """The list of one of them."""
        return self.worker.get(fingerprint(self.pairs[who]))


def fingerprint(shown: Pair) -> str:
    """SHA-256 of a certificate, as the edge says it."""
    return x509.load_pem_x509_certificate(shown[0].read_bytes()).fingerprint(hashes.SHA256()).hex()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All of it, ready."""
    directory = tmp_path_factory.mktemp("world")
    authority = Authority.create(directory / "authority")
    pairs = {}
    for name in ("device", "phone", "stranger"):
        (directory / name).mkdir()
        pairs[name] = pair(directory / name, "rsa2048", authority)
    key, certificate = authority.issue_server(["127.0.0.1", "localhost"])
    server = directory / "server.pem", directory / "server-key.pem"
    server[0].write_bytes(certificate)
    server[1].write_bytes(key)
    register = {fingerprint(pairs["phone"]): {"sees": [fingerprint(pairs["device"])]}}
    with (
        deployed.run(directory / "worker", REGISTER=register) as worker,
        edges.run(directory / "edges", worker.behind_edge, authority, server) as fence,
    ):
        yield World(worker, fence, authority.certificate_file, pairs)


def read_by_phone(world: World, directory: Path) -> tuple[str, object]:
    """What the phone gets, which is Java: status and list."""
    subprocess.run(["javac", "-d", directory, READER], check=True)
    certificate, key = (file.read_bytes() for file in world.pairs["phone"])
    bundle, password = directory / "reader.p12", directory / "password"
    bundle.write_bytes(pkcs12.bundle(certificate, key, password=PASSWORD, encryption="aes"))
    password.write_text(f"{PASSWORD}\n")
    command = ["java", "-cp", str(directory), "Reader", str(bundle), str(password)]
    done = subprocess.run(
        [*command, str(world.ca_file), world.edges.url("strict")], capture_output=True, text=True, check=True
    )
    _, status, body = done.stdout.splitlines()
    return status, json.loads(body)


def test_the_tutorials_clients_post_and_read_unchanged(world: World, tmp_path: Path) -> None:
    url, shown = world.edges.url("strict"), world.pairs["device"]
    by_script = requests.post(
        url, data=json.dumps(READING), cert=(str(shown[0]), str(shown[1])), verify=str(world.ca_file), timeout=10
    )
    by_curl = json.dumps({"temperature": 0, "time": "2026-11-23T09:15:22Z"})
    pair_options = ["--cert", str(shown[0]), "--key", str(shown[1]), "--cacert", str(world.ca_file)]
    curl = ["curl", "-sS", *pair_options, "-w", "%{http_code}", url]
    posted = subprocess.run([*curl, "-d", by_curl], capture_output=True, text=True, check=True).stdout
    read = subprocess.run(curl, capture_output=True, text=True, check=True).stdout

    listed = [json.loads(by_curl), READING]
    assert (by_script.status_code, posted) == (201, "201")
    assert (json.loads(read[:-3]), read[-3:]) == (listed, "200")
    assert read_by_phone(world, tmp_path) == ("200", listed)


def test_a_client_cannot_say_itself_who_it_is(world: World) -> None:
    victim = world.pairs["device"]
    shown = world.pairs["stranger"]
    named = {deployed.BLOB: json.dumps({"tlsClientAuth": deployed.certificate(fingerprint(victim))})}
    named |= {"CF-Connecting-IP": "192.0.2.1", "Shown-Certificate": victim[0].read_text().replace("\n", "%0A")}
    answer = requests.post(
        world.edges.url("strict"),
        json={**READING, "temperature": "-1"},
        headers=named,
        cert=(str(shown[0]), str(shown[1])),
        verify=str(world.ca_file),
        timeout=10,
    )

    assert answer.status_code == 201
    assert world.kept("stranger") == [{**READING, "temperature": "-1"}]
    assert {**READING, "temperature": "-1"} not in world.worker.get(fingerprint(victim))


def test_the_agent_delivers_its_backlog_in_batches_and_what_comes_then(tmp_path: Path) -> None:
    with Rig(tmp_path, sensors=FREEZER_TABLE) as rig, deployed.run(tmp_path / "worker") as worker:
        authority = Authority.open(tmp_path / "shield")
        server = tmp_path / "shield/server.pem", tmp_path / "shield/server-key.pem"
        with edges.run(tmp_path / "edges", worker.behind_edge, authority, server) as fence:
            rig.configure(FREEZER_TABLE, shield=fence.url("strict"))
            rig.start()
            rig.until(lambda: rig.status().get("spool", {"pending": 0})["pending"] >= 4)
            rig.enroll()
            who = json.loads(rig.run("identity", "show", "--json").stdout)["fingerprint_sha256"]
            rig.until(lambda: worker.count(who) >= 6)
            rig.until(lambda: rig.line() == "online")
            answered = fence.answered()

        listed = worker.get(who, "?limit=1000")
    times = [each["time"] for each in listed]
    assert times == sorted(set(times), reverse=True)
    assert {each["temperature"] for each in listed} == {"-18"}
    assert {"201", "207"} <= set(answered)
    assert len(answered) < len(listed)
