"""The real Workers runtime with the tutorial's Worker in it; its KV namespace is a directory with a file for each key."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
EMPTY = '{"temperatures":[]}'


@dataclass(frozen=True, slots=True)
class Runtime:
    """`port` speaks plain HTTP on loopback."""

    port: int
    kv: Path

    def meet(self, address: str) -> None:
        """Give the address an empty list of its own; without one it shares another's, as the tutorial's Worker has it."""
        (self.kv / f"data-{address}").write_text(EMPTY)

    def stored(self, address: str) -> list[dict[str, Any]]:
        """The readings of an address, in the order of their arrival."""
        try:
            readings: list[dict[str, Any]] = json.loads((self.kv / f"data-{address}").read_text())["temperatures"]
        except FileNotFoundError:
            return []
        return readings


def workerd() -> Path:
    """The runtime's program: $WORKERD, or where `make interop` puts it."""
    if named := os.environ.get("WORKERD"):
        return Path(named)
    found = sorted(ROOT.glob("build/interop/node_modules/@cloudflare/workerd-*/bin/workerd"))
    assert found, "the Workers runtime is not there: make interop"
    return found[0]


@contextmanager
def run(directory: Path) -> Iterator[Runtime]:
    """The runtime, ready; its KV lies below the directory."""
    kv = directory / "kv"
    kv.mkdir(parents=True)
    with serving(HERE / "worker.capnp", directory / "workerd.log", f"--directory-path=kv={kv}") as ports:
        yield Runtime(ports["http"], kv)


@contextmanager
def serving(config: Path, log: Path, *arguments: str, sockets: Sequence[str] = ("http",)) -> Iterator[dict[str, int]]:
    """The runtime with that configuration; gives the port of each of its sockets, on loopback."""
    addresses = [f"--socket-addr={name}=127.0.0.1:0" for name in sockets]
    command = [str(workerd()), "serve", str(config), "--control-fd=1", *addresses, *arguments]
    with log.open("a") as stream:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, text=True)
    assert process.stdout is not None
    try:
        ports = {}
        for _ in sockets:
            line = process.stdout.readline()
            assert line, log.read_text()
            said = json.loads(line)
            ports[said["socket"]] = int(said["port"])
        yield ports
    finally:
        process.kill()  # SIGTERM would wait for open connections
        process.wait()
        process.stdout.close()
