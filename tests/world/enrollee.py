"""A device that enrolls by its command line, and an API that signs, or does worse, as a script says."""

import contextlib
import io
import json
import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from world.identities import authority
from world.server import Server, Step, answer, serving

from agent import cli
from agent.pem import same_key

NAME = "sensor-001.devices.example.com"
CONFIG = """
[device]
name = "{name}"
[uplink]
url = "{shield}"
ca_file = "{ca_file}"
timeout_seconds = 2.0
[identity]
cert_file = "{directory}/certs/sensor.pem"
key_file = "{directory}/private/sensor-key.pem"
store_dir = "{directory}/identity"
[enroll]
issuer = "{issuer}"
url = "{url}"
zone_id = "{zone_id}"
token_file = "{directory}/token"
ca_file = "{ca_file}"
{more}
[spool]
path = "{directory}/spool.db"
"""


@contextlib.contextmanager
def own_log() -> Iterator[None]:
    """A command sets the log up for its process; here the process goes on."""
    log = logging.getLogger("agent")
    before = log.handlers[:], log.level, log.propagate
    try:
        yield
    finally:
        log.handlers[:], log.level, log.propagate = before


@dataclass(frozen=True, slots=True)
class Done:
    """What a command ended with: its exit code, its JSON object, and what it said."""

    code: int
    answer: dict[str, Any]
    said: str


@dataclass(slots=True)
class Api:
    """Signs what it is asked for, and lists it. `script` is played first, a step for each POST."""

    script: list[Step] = field(default_factory=list)
    sign: Callable[[bytes], bytes] = field(default_factory=lambda: authority().sign)
    issued: list[dict[str, str]] = field(default_factory=list)
    posts: int = 0

    def __call__(self, sock: socket.socket, server: Server) -> bool:
        """Answer the request that was read last."""
        request = server.seen[-1]
        if request.method == "GET":
            return answer(200, json.dumps(self.listed()).encode())(sock, server)
        if request.method == "DELETE":
            gone = request.path.rpartition("/")[2]
            self.issued = [each for each in self.issued if each["id"] != gone]
            return answer(200, b'{"success": true, "result": {"status": "pending_revocation"}}')(sock, server)
        self.posts += 1
        if self.script:
            return self.script.pop(0)(sock, server)
        return answer(200, self.issue(json.loads(request.body)["csr"]))(sock, server)

    def listed(self) -> dict[str, object]:
        """The list of what is in force, on one page."""
        return {"success": True, "result": self.issued, "result_info": {"total_count": len(self.issued)}}

    def issue(self, csr: str) -> bytes:
        """Sign it whatever the script says; gives the body of the answer."""
        made = {"id": f"id-{len(self.issued) + 1}", "certificate": self.sign(csr.encode()).decode(), "csr": csr}
        self.issued.append(made)
        return json.dumps({"success": True, "result": made}).encode()

    def lost(self, sock: socket.socket, server: Server) -> bool:
        """A step: signed, and the connection gone before the answer."""
        del sock
        self.issue(json.loads(server.seen[-1].body)["csr"])
        return False

    def active(self, request: bytes) -> int:
        """How many certificates in force are for the request's key."""
        return sum(same_key(request, each["csr"].encode()) for each in self.issued)


class Enrollee:
    """One device with a directory; `shield` and `api` are URLs, nobody answers at the default ones."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.config = directory / "config.toml"
        self.root = directory / "root"
        self.cert, self.key = directory / "certs" / "sensor.pem", directory / "private" / "sensor-key.pem"
        self.store = directory / "identity"
        self.token = directory / "token"
        self.token.touch(mode=0o600)
        self.token.write_text("t0ken-for-tests\n")
        self.configure()

    def configure(
        self,
        *,
        url: str = "https://127.0.0.1:9",
        shield: str = "https://127.0.0.1:9/temps",
        issuer: str = "cloudflare",
        zone_id: str = "zone",
        name: str = NAME,
        ca_file: Path | None = None,
        more: str = "",
    ) -> None:
        """Write the configuration."""
        text = CONFIG.format(
            name=name,
            shield=shield,
            ca_file=ca_file or authority().certificate_file,
            directory=self.directory,
            issuer=issuer,
            url=url,
            zone_id=zone_id,
            more=more,
        )
        self.config.write_text(text)

    def __call__(self, *words: str, as_json: bool = True) -> Done:
        """Run one command of the agent in this process."""
        out, err = io.StringIO(), io.StringIO()
        more = ["--json"] if as_json else []
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), own_log():
            code = cli.main(["--config", str(self.config), "--root", str(self.root), *words, *more])
        text = out.getvalue()
        return Done(code, json.loads(text) if as_json and text.strip() else {}, text + err.getvalue())

    @contextlib.contextmanager
    def asking(self, api: Api, directory: Path | None = None, **settings: Any) -> Iterator[Server]:
        """With the API up and configured."""
        home = directory or self.directory / "api"
        home.mkdir(exist_ok=True)
        with serving(home, api) as server:
            self.configure(url=f"https://127.0.0.1:{server.port}", **settings)
            yield server

    def pending_request(self) -> bytes:
        """The request under way."""
        return (self.store / "pending" / "request.pem").read_bytes()
