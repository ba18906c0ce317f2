"""What a reader with a browser meets: three shields with a device's day in them, and the .p12 that the agent's command wrote.

`dev` is the development shield, `worker` the Worker in its runtime behind nginx, `tutorial` the tutorial's API with the
page beside it.
"""

import json
import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from interop import browser, deployed, edges
from interop.browser import Browser
from interop.deployed import Deployed
from world.rig import DEFAULTS, FREEZER_TABLE
from world.visitors import Pair, ask, connect, pair

from agent.certificate import parse
from agent.devshield.authority import Authority
from agent.devshield.edge import make_door
from agent.devshield.exchange import Outcome, Request
from agent.devshield.extended_api import PAGE
from agent.devshield.reply import HTML, Reply
from agent.devshield.server import HttpServer
from agent.devshield.shield import Setup, Shield
from agent.devshield.worker import listing

HOSTILE: Final = "<img src=x onerror=alert(1)>"


@dataclass(frozen=True, slots=True)
class World:
    """Everything, ready. `urls` are the pages'; `device` is the pair that the readings come from."""

    shield: Shield
    device: Pair
    phone: str
    browser: Browser
    urls: dict[str, str]

    def post(self, *readings: dict[str, Any]) -> None:
        """Deliver to the development shield, as one batch."""
        to = connect(self.shield, self.device)
        items = [{**each, "key": json.dumps(each)} for each in readings]
        got = ask(to, "POST", json.dumps(items).encode())
        to.close()
        assert got.status == 207, got

    def asked(self) -> list[str]:
        """What was got from the development shield: paths, in their order."""
        return [str(each["path"]) for each in self.shield.requests() if each["method"] == "GET"]


def day(now: datetime) -> list[dict[str, Any]]:
    """A freezer's, with two hours missing; a cold room's; a cellar's, which ended two hours ago."""
    found = []
    for minute in range(1435, -1, -1):
        ripple, opened = math.sin(minute / 3.1) / 6, math.exp(-((1435 - minute) % 190) / 40)
        if not 500 < minute < 620:
            found.append(reading(now, minute, "freezer", -18 + 1.2 * math.sin(minute / 25) + ripple))
        found.append(reading(now, minute, "cold room", 3.9 + opened + ripple / 2))
        if minute >= 130:
            found.append(reading(now, minute, "cellar", 12 + math.sin(minute / 400) / 5))
    return found


def reading(now: datetime, minutes: float, sensor: str, celsius: float) -> dict[str, Any]:
    """One of so many minutes ago."""
    at = now - timedelta(minutes=minutes)
    return {"temperature": f"{celsius:.3f}", "time": f"{at:%Y-%m-%dT%H:%M:%SZ}", "sensor": sensor}


@contextmanager
def run(directory: Path) -> Iterator[World]:
    """All of it, with the browser."""
    with ExitStack() as stack:
        shield = stack.enter_context(Shield(Setup(directory / "shield", rule="strict", api="extended")))
        authority = Authority.open(directory / "shield")
        device = pair(directory, "p256", authority)
        (directory / "password").write_text("correct horse ~\n")
        phone = bundled(directory, shield)
        seen = {phone: [fingerprint(device)]}
        (directory / "shield/readers.json").write_text(json.dumps(seen))
        register = {who: {"sees": sees} for who, sees in seen.items()}
        worker = stack.enter_context(deployed.run(directory / "worker", REGISTER=register))
        server = directory / "shield/server.pem", directory / "shield/server-key.pem"
        fence = stack.enter_context(edges.run(directory / "edges", worker.behind_edge, authority, server))
        readings = day(datetime.now(UTC))
        deliver(shield, worker, device, readings)
        urls = {
            "dev": f"https://127.0.0.1:{shield.port}/",
            "worker": fence.url("strict").removesuffix("temps"),
            "tutorial": f"https://127.0.0.1:{stack.enter_context(tutorial(server, shield.ca_file, readings))}/",
        }
        files = {"ca_file": shield.ca_file, "bundle": directory / "phone.p12", "password": directory / "password"}
        page = stack.enter_context(browser.run(directory / "browser", urls=list(urls.values()), **files))
        yield World(shield, device, phone, page, urls)


def bundled(directory: Path, shield: Shield) -> str:
    """The fingerprint of the reader that the agent's own command has enrolled; it is in phone.p12."""
    config = directory / "config.toml"
    config.write_text(DEFAULTS.format(directory=directory, **shield.where) + FREEZER_TABLE)
    command = ["identity", "bundle", f"--config={config}", str(directory / "phone.p12"), "--name=phone", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "agent", *command, f"--password-file={directory / 'password'}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["fingerprint_sha256"])


def fingerprint(shown: Pair) -> str:
    """SHA-256 of a pair's certificate."""
    return parse(shown[0].read_bytes()).fingerprint_sha256


def deliver(shield: Shield, worker: Deployed, device: Pair, readings: list[dict[str, Any]]) -> None:
    """Give both the readings, in batches."""
    items = [{**each, "key": f"{number}"} for number, each in enumerate(readings)]
    to = connect(shield, device)
    for start in range(0, len(items), 500):
        batch = items[start : start + 500]
        assert ask(to, "POST", json.dumps(batch).encode()).status == 207
        assert worker.post(fingerprint(device), batch).status == 207
    to.close()


@contextmanager
def tutorial(server: Pair, ca_file: Path, readings: list[dict[str, Any]]) -> Iterator[int]:
    """The tutorial's answers to a GET with the page at /; gives the port."""
    own = [each for each in readings if each["sensor"] == "freezer"]

    def answer(request: Request) -> Outcome:
        assert request.visitor.verified == "SUCCESS"
        return Outcome(Reply(200, HTML, PAGE.read_bytes()) if request.target == "/" else listing(own))

    stop = threading.Event()
    made = HttpServer(("127.0.0.1", 0), make_door("stdlib", *server, ca_file), answer, stop)
    made.start()
    try:
        yield made.port
    finally:
        stop.set()
        made.close()
