"""The Worker of packaging/shield in the real runtime, set up from its own wrangler.toml; its objects lie in a directory.

A request says who is asking in a header that the runtime turns into `request.cf`; by way of `behind_edge`, nginx says it.
"""

import gzip
import http.client
import json
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any, Final

from interop.runtime import HERE, ROOT, serving

SOURCE: Final = ROOT / "packaging/shield"
BLOB: Final = "Edge-Says"

CONFIG: Final = """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "shield", worker = .shield),
    (name = "edge", worker = .edge),
    (name = "objects", disk = (writable = true)),
    (name = "register", disk = (writable = true)),
  ],
  sockets = [
    (name = "http", http = (cfBlobHeader = "{blob}"), service = "shield"),
    (name = "edge", http = (), service = "edge"),
  ],
);
const shield :Workerd.Worker = (
  modules = [{modules}],
  compatibilityDate = "{date}",
  durableObjectNamespaces = [(className = "{class_name}", uniqueKey = "{class_name}", enableSql = true)],
  durableObjectStorage = (localDisk = "objects"),
  bindings = [(name = "{binding}", durableObjectNamespace = "{class_name}"), {variables}],
);
const edge :Workerd.Worker = (
  modules = [(name = "edge.js", esModule = embed "edge.js")],
  compatibilityDate = "{date}",
  bindings = [(name = "SHIELD", service = "shield")],
);
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the Worker answers."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)

    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@dataclass(frozen=True, slots=True)
class Behind:
    """Where an edge passes requests on to."""

    port: int


@dataclass(frozen=True, slots=True)
class Deployed:
    """The running Worker. `register` is its KV namespace if it has one: a file for each fingerprint."""

    port: int
    behind_edge: Behind
    register: Path

    def ask(
        self,
        who: str | Mapping[str, Any],
        method: str = "GET",
        path: str = "/temps",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer to one request; `who` is a fingerprint, or all that the edge says of the visitor."""
        auth = certificate(who) if isinstance(who, str) else who
        to = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            to.request(
                method, path, body=body, headers={BLOB: json.dumps({"tlsClientAuth": auth}), **dict(headers or {})}
            )
            answer = to.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            to.close()

    def post(self, who: str | Mapping[str, Any], value: object, **headers: str) -> Answer:
        """The answer to a POST of the value as JSON; an underscore in a header's name is a hyphen."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.ask(who, "POST", body=json.dumps(value).encode(), headers=named)

    def get(self, who: str | Mapping[str, Any], query: str = "", path: str = "/temps") -> Any:
        """What a GET lists."""
        answer = self.ask(who, path=path + query)
        assert answer.status == 200, answer
        return answer.json()

    def count(self, who: str | Mapping[str, Any]) -> int:
        """How many readings are kept for a visitor."""
        return sum(int(each["count"]) for each in self.get(who, path="/sensors")["sensors"])


def certificate(fingerprint: str, **differs: str) -> dict[str, str]:
    """What the edge says of a good certificate (request.cf.tlsClientAuth)."""
    good = {"certPresented": "1", "certVerified": "SUCCESS", "certRevoked": "0", "certFingerprintSHA256": fingerprint}
    return good | differs


def zipped(value: object) -> bytes:
    """JSON, compressed."""
    return gzip.compress(json.dumps(value).encode())


@contextmanager
def run(directory: Path, *, kv: bool = False, **variables: object) -> Iterator[Deployed]:
    """The Worker, ready, with its variables or others; started again in the same directory it has its objects."""
    for place in ("objects", "register"):
        (directory / place).mkdir(parents=True, exist_ok=True)
    modules = sorted((SOURCE / "src").iterdir(), key=lambda file: (file.name != "worker.js", file.name))
    for file in (*modules, HERE / "edge.js"):
        shutil.copy(file, directory)
    (directory / "deployed.capnp").write_text(_config([file.name for file in modules], kv=kv, variables=variables))
    places = [f"--directory-path={name}={directory / name}" for name in ("objects", "register")]
    with serving(directory / "deployed.capnp", directory / "workerd.log", *places, sockets=("http", "edge")) as ports:
        yield Deployed(ports["http"], Behind(ports["edge"]), directory / "register")


def _config(modules: list[str], *, kv: bool, variables: Mapping[str, object]) -> str:
    with (SOURCE / "wrangler.toml").open("rb") as stream:
        wrangler = tomllib.load(stream)
    [objects] = wrangler["durable_objects"]["bindings"]
    assert wrangler["migrations"][0]["new_sqlite_classes"] == [objects["class_name"]]
    assert wrangler["main"] == "src/worker.js"
    values = {**wrangler["vars"], **variables}
    if kv:
        del values["REGISTER"]
    bindings = [_binding(name, value) for name, value in values.items()]
    bindings += ['(name = "REGISTER", kvNamespace = "register")'] if kv else []
    return CONFIG.format(
        blob=BLOB,
        modules=", ".join(
            f'(name = "{name}", {"text" if name.endswith(".html") else "esModule"} = embed "{name}")'
            for name in modules
        ),
        date=wrangler["compatibility_date"],
        class_name=objects["class_name"],
        binding=objects["name"],
        variables=", ".join(bindings),
    )


def _binding(name: str, value: object) -> str:
    kind, text = ("text", value) if isinstance(value, str) else ("json", json.dumps(value))
    return f"(name = {json.dumps(name)}, {kind} = {json.dumps(text)})"
