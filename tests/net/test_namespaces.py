"""Networks that really fail: the device in one network namespace, the shield in another, the cable between them pulled.

For root, with `ip` (iproute2). The device is a process of its own, told by a line on its standard input to send the next
reading; the shield is in a third process, and its request log says what arrived.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from net import trial

from agent.devshield.shield import Setup, Shield

ALLOWED = os.geteuid() == 0 and shutil.which("ip") is not None and shutil.which("unshare") is not None
pytestmark = pytest.mark.skipif(not ALLOWED, reason="needs root, ip and unshare")

SHIELD = "10.213.77.1"
# posts as told: each line names a reading and the host; answers with the verdict, what is ambiguous, and the seconds
DEVICE = """
import json, sys, time
from agent.uplink import Target, Uplink
url, ca_file, cert, key = sys.argv[1:]
lines = {}
for line in sys.stdin:
    host, temperature = line.split()
    if host not in lines:
        lines[host] = Uplink(Target(url.replace("HOST", host), ca_file, 1.5), (cert, key))
    body = json.dumps({"temperature": temperature, "time": "2026-11-25T00:00:00Z"}).encode()
    begun = time.monotonic()
    got = lines[host].post(body, key=temperature)
    print(json.dumps([got.verdict.name, got.ambiguous, got.detail, time.monotonic() - begun]), flush=True)
"""


def sh(command: str) -> None:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


class Cable:
    """Two namespaces with a pair of interfaces; `device` posts from the one to a shield in the other."""

    def __init__(self, directory: Path) -> None:
        self.names = [f"sa-{os.getpid()}-{end}" for end in ("device", "shield")]
        self.directory = directory
        self.shield: subprocess.Popen[str] | None = None

    def lay(self) -> None:
        near, far = self.names
        for name in self.names:
            sh(f"ip netns add {name}")
            sh(f"ip -n {name} link set lo up")
        sh(f"ip -n {near} link add cable type veth peer name cable netns {far}")
        for name, address in ((near, "10.213.77.2"), (far, SHIELD)):
            sh(f"ip -n {name} address add {address}/24 dev cable")
            sh(f"ip -n {name} link set cable up")

    def take_away(self) -> None:
        self.end_shield()
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)

    def set(self, state: str) -> None:
        """The shield's end `up` or `down`: nothing is refused, nothing answers."""
        sh(f"ip -n {self.names[1]} link set cable {state}")

    def start_shield(self, port: int = 0) -> int:
        """Gives its port."""
        serve = [sys.executable, "-m", "agent", "shield", "serve", "--json", f"--dir={self.directory / 'shield'}"]
        command = ["ip", "netns", "exec", self.names[1], *serve, f"--listen={SHIELD}", f"--port={port}"]
        self.shield = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.shield.stdout is not None
        return int(json.loads(self.shield.stdout.readline())["port"])

    def end_shield(self) -> None:
        """Killed: it says goodbye to nobody, and its kernel only if the cable is up."""
        if self.shield is not None:
            self.shield.kill()
            self.shield.wait()
            assert self.shield.stdout is not None
            self.shield.stdout.close()
            self.shield = None


class Device:
    """The device's process."""

    def __init__(self, cable: Cable, port: int, resolver: Path) -> None:
        shield = cable.directory / "shield"
        pair = trial.device_pair(shield)
        resolver.write_text("nameserver 10.213.77.9\noptions timeout:1 attempts:1\n")  # nobody is there
        inner = f'mount --bind {resolver} /etc/resolv.conf && exec "$@"'
        command = ["ip", "netns", "exec", cable.names[0], "unshare", "--mount", "sh", "-c", inner, "sh"]
        url = f"https://HOST:{port}/temps"
        self.process = subprocess.Popen(
            [*command, sys.executable, "-c", DEVICE, url, str(shield / "ca.pem"), *pair],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def post(self, temperature: str, host: str = SHIELD) -> tuple[str, bool, str, float]:
        """Verdict, ambiguous, detail and how many seconds it took."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{host} {temperature}\n")
        self.process.stdin.flush()
        verdict, ambiguous, detail, seconds = json.loads(self.process.stdout.readline())
        return verdict, ambiguous, detail, seconds

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    laid = Cable(tmp_path)
    try:
        laid.lay()
    except AssertionError as refusal:
        laid.take_away()
        pytest.skip(f"no network namespaces here: {refusal}")
    try:
        yield laid
    finally:
        laid.take_away()


@pytest.fixture
def device(cable: Cable, tmp_path: Path) -> Iterator[Device]:
    with Shield(Setup(tmp_path / "shield")):
        pass  # so that its authority is there for the device's certificate
    port = cable.start_shield()
    made = Device(cable, port, tmp_path / "resolv.conf")
    try:
        yield made
    finally:
        made.end()


def stored(cable: Cable) -> list[str]:
    rows = map(json.loads, (cable.directory / "shield/requests.jsonl").read_text().splitlines())
    return [json.loads(row["body"])["temperature"] for row in rows if row["stored"]]


def test_a_cable_that_is_pulled_is_an_ambiguous_outcome_in_time_and_nothing_arrives_late(
    cable: Cable, device: Device
) -> None:
    assert device.post("1")[:2] == ("ACK", False)
    cable.set("down")
    verdict, ambiguous, _, seconds = device.post("2")  # on the connection that was good
    assert (verdict, ambiguous) == ("RETRY", True)
    assert 1.3 < seconds < 3.0
    until = time.monotonic() + 4.0  # an IP stack keeps packets for a neighbour that it looks for, for three seconds
    while time.monotonic() < until:
        verdict, ambiguous, _, seconds = device.post("3")  # there is no connection any more, and none is made
        assert (verdict, ambiguous) == ("RETRY", False)
        assert seconds < 3.0
    cable.set("up")
    deadline = time.monotonic() + 10
    while device.post("4")[0] != "ACK":
        assert time.monotonic() < deadline
    assert stored(cable) == ["1", "4"]  # the kernel has not gone on sending what was given up


def test_a_shield_that_died_while_the_cable_was_out_leaves_a_half_open_connection(cable: Cable, device: Device) -> None:
    assert device.post("1")[0] == "ACK"
    cable.set("down")
    cable.end_shield()
    cable.set("up")
    verdict, _, _, seconds = device.post("2")
    assert verdict == "RETRY"
    assert seconds < 3.0


def test_a_name_server_that_is_silent_or_away_costs_no_more_than_the_deadline(cable: Cable, device: Device) -> None:
    verdict, ambiguous, detail, seconds = device.post("1", host="shield.example.com")
    assert (verdict, ambiguous) == ("RETRY", False), detail
    assert seconds < 3.0
    assert device.post("2")[0] == "ACK"
    assert stored(cable) == ["2"]
