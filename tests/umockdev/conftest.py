"""A board of umockdev and the installed agent on it, as the user nobody. Nothing is skipped: what is missing fails."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from agent.devshield.onewire_tree import frame_text, scratchpad

AGENT = Path(sys.executable).with_name("sensor-agent")
PACKAGES = "apt-get install umockdev gir1.2-umockdev-1.0 python3-gi"
FREEZER = "28-00000586475d"
CONFIG = """
[uplink]
url = "https://127.0.0.1:1/"
[spool]
path = "{directory}/spool.db"
[clock]
unsynchronised = "send"
"""
# /run is one of its own, for status.json, and the process is nobody in no group; capabilities go with the user
AS_NOBODY = (
    *("unshare", "--mount", "--propagation", "private", "sh", "-ec"),
    'mount -t tmpfs none /run; mkdir -m 755 /run/sensor-agent; chown 65534:65534 /run/sensor-agent; exec "$@"',
    *("sh", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "umockdev-wrapper"),
)


class Board:
    """What the played hardware is, while the server runs; the agent's processes on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.server = subprocess.Popen(
            ["umockdev-wrapper", "/usr/bin/python3", str(Path(__file__).with_name("server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.server.stdout
        self.root = self.server.stdout.readline().strip()
        assert self.root, f"the server did not start; it needs: {PACKAGES}"
        self.daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in self.daemons:
            daemon.kill()
            daemon.wait()
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.close()
        self.server.wait(10)
        self.server.stdout.close()

    def order(self, **order: Any) -> str:
        """Tell the server to do something, and wait until it is done."""
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        return self.server.stdout.readline().strip()

    def hang(self, celsius: float, sensor_id: str = FREEZER) -> None:
        """Hang a DS18B20 on the 1-Wire bus."""
        text = frame_text(scratchpad(celsius)).replace("\n", "\\n")
        self.order(add=f"P: /devices/w1_bus_master1/{sensor_id}\nE: SUBSYSTEM=w1\nA: w1_slave={text}\n\n")

    def set_frame(self, text: str, sensor_id: str = FREEZER) -> None:
        """What the DS18B20's file says from now on."""
        self.order(set=[f"/sys/devices/w1_bus_master1/{sensor_id}", "w1_slave", text])

    def take_off(self, sensor_id: str = FREEZER) -> None:
        """Take it off."""
        self.order(remove=f"/sys/devices/w1_bus_master1/{sensor_id}")

    def chip(self, address: int, registers: dict[str, str] | int) -> None:
        """Put a chip on the I2C bus: bytes by pointer, or the errno of every transfer with it."""
        self.order(chip=address, **{"is": registers})

    def bind(self, address: int, driver: str) -> None:
        """Let a kernel driver have the address."""
        link = f"../../../../bus/i2c/drivers/{driver}"
        self.order(add=f"P: /devices/platform/i2c-1/1-{address:04x}\nE: SUBSYSTEM=i2c\nL: driver={link}\nA: name=x\n\n")

    def command(self, *words: str, sensors: str) -> list[str]:
        """The agent's command line, as nobody, with a configuration of these sensors."""
        config = self.directory / "config.toml"
        config.write_text(CONFIG.format(directory=self.directory) + sensors)
        return [*AS_NOBODY, str(AGENT), f"--config={config}", *words]

    def read(self, sensors: str) -> dict[str, dict[str, Any]]:
        """One reading of each sensor, by its name."""
        command = self.command("read", "--json", sensors=sensors)
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout, done.stderr
        return {each["sensor"]: each for each in json.loads(done.stdout)["readings"]}

    def start(self, sensors: str) -> "Daemon":
        """The daemon."""
        with (self.directory / "daemon.log").open("wb") as log:
            command = self.command("run", sensors=sensors)
            self.daemons.append(subprocess.Popen(command, env=self.environ, stdout=log, stderr=log))
        return Daemon(self.daemons[-1], self.directory)

    @property
    def environ(self) -> dict[str, str]:
        """That of this process, and where the board is."""
        return {**os.environ, "UMOCKDEV_DIR": self.root}


class Daemon:
    """A running agent, seen from outside through its status file."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.process, self._directory = process, directory
        self._status = Path(f"/proc/{process.pid}/root/run/sensor-agent/status.json")

    def status(self) -> dict[str, Any]:
        """The status file; empty while there is none."""
        try:
            found: dict[str, Any] = json.loads(self._status.read_text())
        except FileNotFoundError:
            return {}
        return found

    def sensor(self, name: str) -> dict[str, Any]:
        """What the status says of the sensor; an empty `error` where it is read."""
        found = [each for each in self.status().get("sensors", ()) if each["sensor"] == name]
        return found[0] if found else {"celsius": None, "error": None, "failures": None}

    def until(self, happens: Callable[[], Any]) -> Any:
        """The first true value of `happens`, within twenty seconds."""
        deadline = time.monotonic() + 20
        while not (value := happens()):
            log = (self._directory / "daemon.log").read_text()
            assert self.process.poll() is None, log
            assert time.monotonic() < deadline, f"status {self.status()}\n{log}"
            threading.Event().wait(0.05)
        return value


@pytest.fixture
def board() -> Iterator[Board]:
    """An empty board: a 1-Wire bus as soon as something hangs on it, and /dev/i2c-1."""
    assert shutil.which("umockdev-wrapper"), f"umockdev is missing: {PACKAGES}"
    assert os.geteuid() == 0, "only root can make the agent nobody"
    assert AGENT.exists(), "the agent is not installed beside this Python"
    # not tmp_path: each start of pytest closes its directory to others, even for one that is still running
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o777)
        with Board(Path(directory)) as made:
            yield made
