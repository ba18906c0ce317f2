"""What the demo plays on: a directory with a board and a shield in it, and the processes that run there."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from agent.devshield.accepted import accepted
from agent.devshield.i2c_wire import add_bus, chip_text, put_chip
from agent.devshield.onewire_tree import OneWireTree

FREEZER: Final = "28-00000586475d"
ROOM_ADDRESS: Final = 0x48
DEVICE: Final = "sensor-001.devices.example.com"
STEP_SECONDS: Final = 60.0  # for what takes a second or two when idle; 15 were too few on an ARM that qemu plays
GLANCE_SECONDS: Final = 0.02
SHIELD: Final = ("--rule=strict", "--api=extended", "--json")

CONFIG: Final = """\
[device]
name = "{device}"

[uplink]
url = "{shield}"
ca_file = "{ca_file}"
min_interval_seconds = 0.02   # the real default, 1.05 s, is for Workers KV
max_backoff_seconds = 1.0     # the real default is five minutes
extra_fields = ["sensor"]     # by default none, as in the tutorial; the reader's page has a chart for each name

[identity]
cert_file = "{directory}/etc/sensor.pem"
key_file = "{directory}/etc/sensor-key.pem"
store_dir = "{directory}/identity"

[enroll]
url = "{api}"
zone_id = "{zone_id}"
token_file = "{token_file}"

[spool]
path = "{directory}/spool/spool.db"

[[sensors]]
name = "freezer"
driver = "ds18b20"
id = "{freezer}"
interval_seconds = 1.0

[[sensors]]
name = "room"
driver = "tmp102"
bus = 1
address = 0x{room:02x}
interval_seconds = 1.0
"""


class NotHeld(Exception):
    """A step of the story did not come true."""


class Stage:
    """The directory, the two processes and the hands that move things; `close` ends the processes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.board = directory / "board"
        self.config = directory / "config.toml"
        self.shield_directory = directory / "shield"
        self.where: dict[str, Any] = {}
        self._shield: subprocess.Popen[str] | None = None
        self._daemon: subprocess.Popen[bytes] | None = None
        self._tree = OneWireTree(self.board)
        self._tree.add(FREEZER, -18.0)
        add_bus(self.board)
        self.room(21.5)
        synchronised = self.board / "run/systemd/timesync/synchronized"
        synchronised.parent.mkdir(parents=True)
        synchronised.touch()

    def freezer(self, celsius: float) -> None:
        """What the DS18B20 measures from now on."""
        self._tree.set(FREEZER, celsius)

    def room(self, celsius: float) -> None:
        """What the TMP102 measures from now on (its datasheet's table 5: twelve bits, left-aligned)."""
        raw = (round(celsius * 16) << 4) & 0xFFFF
        put_chip(self.board, ROOM_ADDRESS, chip_text("word", {"00": f"{raw:04x}", "01": "60a0"}))

    def start_shield(self) -> None:
        """Start the shield, or start it again where it was."""
        ports = [f"--port={self.where['port']}", f"--api-port={self.where['api_port']}"] if self.where else []
        serve = ["shield", "serve", *SHIELD, f"--dir={self.shield_directory}", *ports]
        with (self.directory / "shield.log").open("a") as log:
            self._shield = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-m", "agent", *serve], stdout=subprocess.PIPE, stderr=log, text=True
            )
        line = self._shield.stdout.readline() if self._shield.stdout else ""
        if not line:
            raise NotHeld(f"the shield did not start: {self._last_words('shield')}")
        self.where = json.loads(line)
        if not self.config.exists():
            self.config.write_text(
                CONFIG.format(directory=self.directory, device=DEVICE, freezer=FREEZER, room=ROOM_ADDRESS, **self.where)
            )

    def stop_shield(self) -> None:
        """Take the shield off the network."""
        _end(self._shield)
        self._shield = None

    def start_daemon(self) -> None:
        """Start the agent; its log goes to daemon.log."""
        with (self.directory / "daemon.log").open("ab") as log:
            self._daemon = subprocess.Popen(self.command("run"), stdout=log, stderr=log)  # noqa: S603 - our own interpreter

    def command(self, *arguments: str) -> list[str]:
        """The agent's command line on this board."""
        interpreter = [sys.executable, "-m", "agent.devshield.board"]
        return [*interpreter, f"--config={self.config}", f"--root={self.board}", *arguments]

    def agent(self, *arguments: str) -> dict[str, Any]:
        """What a command of the agent answers with --json. Raises NotHeld if it fails."""
        done = subprocess.run(self.command(*arguments, "--json"), capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise NotHeld(f"sensor-agent {shlex.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def status(self) -> dict[str, Any]:
        """The daemon's status file; empty while there is none."""
        try:
            found: dict[str, Any] = json.loads((self.board / "run/sensor-agent/status.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    def accepted(self) -> list[dict[str, Any]]:
        """The readings that the shield has taken, in the order they came."""
        try:
            return accepted((self.shield_directory / "requests.jsonl").read_text().splitlines())
        except FileNotFoundError:
            return []

    def pair(self) -> tuple[str, str]:
        """Certificate and key of the device."""
        return f"{self.directory}/etc/sensor.pem", f"{self.directory}/etc/sensor-key.pem"

    def until(self, what: str, happens: Callable[[], Any]) -> Any:
        """The first true value of `happens`; raises NotHeld, and shows the daemon's last words, if none comes."""
        deadline = time.monotonic() + STEP_SECONDS
        while not (value := happens()):
            if self._daemon is not None and self._daemon.poll() is not None:
                raise NotHeld(f"{what}: the agent has ended ({self._daemon.returncode}): {self._last_words()}")
            if time.monotonic() > deadline:
                raise NotHeld(f"{what}: not within {STEP_SECONDS:g} s. {self._last_words()}")
            threading.Event().wait(GLANCE_SECONDS)
        return value

    def _last_words(self, who: str = "daemon") -> str:
        try:
            return "\n".join((self.directory / f"{who}.log").read_text().splitlines()[-5:])
        except FileNotFoundError:
            return ""

    def close(self) -> None:
        """End what was started."""
        _end(self._daemon)
        _end(self._shield)


def _end(process: "subprocess.Popen[Any] | None") -> None:
    if process is None:
        return
    if process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout:
        process.stdout.close()
