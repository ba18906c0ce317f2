"""A board, a shield and the daemon between them: real processes, real TLS, a directory each."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from agent.devshield.i2c_wire import add_bus, chip_text, put_chip
from agent.devshield.onewire_tree import OneWireTree
from agent.devshield.shield import Setup, Shield

FREEZER = "28-00000586475d"
DEFAULTS = """
[device]
name = "sensor-001.devices.example.com"
[uplink]
url = "{shield}"
ca_file = "{ca_file}"
min_interval_seconds = 0.0
max_backoff_seconds = 0.5
timeout_seconds = 5.0
[identity]
cert_file = "{directory}/etc/sensor.pem"
key_file = "{directory}/etc/sensor-key.pem"
store_dir = "{directory}/identity"
[enroll]
url = "{api}"
zone_id = "{zone_id}"
token_file = "{token_file}"
[spool]
path = "{directory}/spool.db"
"""
FREEZER_TABLE = f"""
[[sensors]]
name = "freezer"
driver = "ds18b20"
id = "{FREEZER}"
interval_seconds = 1.0
"""
ROOM_TABLE = """
[[sensors]]
name = "room"
driver = "tmp102"
interval_seconds = 1.0
"""


class Rig:
    """Everything of one test; ends what it started when left."""

    def __init__(self, directory: Path, *, sensors: str = FREEZER_TABLE + ROOM_TABLE) -> None:
        self.directory = directory
        self.board = directory / "board"
        self.config = directory / "config.toml"
        self.where = self.start_shield().where
        self.tree = OneWireTree(self.board)
        self.tree.add(FREEZER, -18.0)
        add_bus(self.board)
        put_chip(self.board, 0x48, chip_text("word", {"00": "1580", "01": "60a0"}))
        synchronised = self.board / "run/systemd/timesync/synchronized"
        synchronised.parent.mkdir(parents=True)
        synchronised.touch()
        self.configure(sensors)
        self.daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in self.daemons:
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()
        self.stop_shield()

    def start_shield(self, *faults: str) -> Shield:
        """The shield, where it was before if it was."""
        ports = getattr(self, "where", {"port": 0, "api_port": 0})
        self.shield: Shield | None = Shield(
            Setup(
                self.directory / "shield", port=ports["port"], api_port=ports["api_port"], rule="strict", faults=faults
            )
        )
        assert self.shield is not None
        return self.shield

    def stop_shield(self) -> None:
        """Off the network."""
        if self.shield is not None:
            self.shield.close()
            self.shield = None

    def configure(self, text: str, **replaced: str) -> None:
        """Write the configuration: the defaults with some values replaced, and the text."""
        values = {"directory": str(self.directory), **self.where} | replaced
        self.config.write_text(DEFAULTS.format(**values) + text)

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        """A command of the agent, to its end."""
        done = subprocess.run(self.command(*arguments), input=stdin, capture_output=True, check=False, timeout=60)
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def command(self, *arguments: str) -> list[str]:
        """Its command line on this board."""
        interpreter = [sys.executable, "-m", "agent.devshield.board"]
        return [*interpreter, f"--config={self.config}", f"--root={self.board}", *arguments]

    def enroll(self) -> None:
        """Give the device its certificate."""
        done = self.run("enroll")
        assert done.returncode == 0, done.stderr

    def start(
        self, *, environ: Mapping[str, str] | None = None, wrapper: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        """The daemon; its log goes to daemon.log."""
        with (self.directory / "daemon.log").open("ab") as log:
            daemon = subprocess.Popen([*wrapper, *self.command("run")], stdout=log, stderr=log, env=environ)
        self.daemons.append(daemon)
        return daemon

    def log(self) -> str:
        """What the daemons have said so far."""
        return (self.directory / "daemon.log").read_text()

    def stop(self, daemon: subprocess.Popen[bytes], signo: int = signal.SIGTERM) -> float:
        """Send the signal and wait for the end; gives the seconds that took."""
        begun = time.monotonic()
        daemon.send_signal(signo)
        daemon.wait(20)
        return time.monotonic() - begun

    def status(self) -> dict[str, Any]:
        """The status file; empty while there is none."""
        try:
            found: dict[str, Any] = json.loads((self.board / "run/sensor-agent/status.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    def line(self) -> str:
        """The line's state in the status file, or nothing."""
        return str(self.status().get("uplink", {}).get("state", ""))

    def requests(self) -> list[dict[str, Any]]:
        """What the shield was asked."""
        file = self.directory / "shield/requests.jsonl"
        return [json.loads(row) for row in file.read_text().splitlines()] if file.exists() else []

    def stored(self) -> list[dict[str, Any]]:
        """The requests whose readings the shield stored."""
        return [row for row in self.requests() if row["stored"]]

    def bodies(self) -> list[dict[str, Any]]:
        """The readings that the shield stored, in order."""
        return [json.loads(row["body"]) for row in self.stored()]

    def until(self, happens: Callable[[], Any], *, seconds: float = 20.0) -> Any:
        """The first true value of `happens`."""
        deadline = time.monotonic() + seconds
        while not (value := happens()):
            dead = [daemon.returncode for daemon in self.daemons[-1:] if daemon.poll() is not None]
            assert not dead, f"the daemon ended with {dead[0]}:\n{self.log()}"
            assert time.monotonic() < deadline, f"not within {seconds} s; status {self.status()}\n{self.log()}"
            threading.Event().wait(0.02)
        return value
