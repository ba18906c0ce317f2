"""A new user with a new board and no documentation: each step runs what the step before printed after `next:`.

In a mount namespace of its own: an empty /run, /var/lib and /sys but for one DS18B20, an /etc that can be written and is
thrown away. `sudo` and `systemctl` are stand-ins, for there is nobody to become and no systemd to ask.
"""

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from world.enrollee import own_log

from agent import cli
from agent.devshield.onewire_tree import OneWireTree
from agent.devshield.shield import Setup, Shield

ALLOWED: Final = os.geteuid() == 0 and all(map(shutil.which, ("unshare", "nsenter", "mount")))
pytestmark = pytest.mark.skipif(not ALLOWED, reason="needs root and a mount namespace")

NAMESPACE: Final = """
set -e
mount -t tmpfs tmpfs "$1/etc"
mkdir "$1/etc/new" "$1/etc/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/etc/new,workdir=$1/etc/work" /etc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mount --bind "$1/board/sys" /sys
mkdir -p /run/systemd/timesync /etc/sensor-agent/conf.d /etc/ssl/certs
touch /run/systemd/timesync/synchronized
rm -f /etc/ssl/certs/sensor.pem /etc/ssl/private/sensor-key.pem /etc/sensor-agent/config.toml
cat "$1/shield/ca.pem" >> /etc/ssl/certs/ca-certificates.crt
echo there
exec cat
"""
# what the operator of the fleet says: who signs. A board that is set up by hand has it in its own file
OPERATOR: Final = '[enroll]\nurl = "{api}"\nzone_id = "{zone_id}"\n'


@dataclass(frozen=True, slots=True)
class Said:
    """What a command ended with; `next` are the commands that it named."""

    code: int
    text: str
    next: list[str]


class Board:
    """The namespace; `run` is a shell in it, whose PATH begins with `bin`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        for name in ("bin", "etc", "board/sys"):
            (home / name).mkdir(parents=True)
        OneWireTree(home / "board").add("28-00000586475d", -18.0)
        agent = f'exec "{sys.executable}" -m agent "$@"'
        self._script("sensor-agent", agent)
        self._script("sudo", 'exec "$@"')
        # `start sensor-agent` and nothing else, as the unit does it; the unit waits for a configuration, too
        daemon = f"setsid sensor-agent run >>'{home}/daemon.log' 2>&1 & echo $! >'{home}/daemon.pid'"
        self._script(
            "systemctl", f'[ "$*" = "start sensor-agent" ] && [ -e /etc/sensor-agent/config.toml ] || exit 1\n{daemon}'
        )
        command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", NAMESPACE, "bash", str(home)]
        self._holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self._holder.stdout
        first = self._holder.stdout.readline()
        if first != b"there\n":
            self.close()
            pytest.skip(f"no namespace of that kind here: {first.decode().strip()}")

    def _script(self, name: str, text: str) -> None:
        file = self.home / "bin" / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    def run(self, command: str) -> Said:
        """Type the command."""
        path = f"{self.home}/bin:{os.environ['PATH']}"
        done = subprocess.run(
            ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", f"--wd={Path.cwd()}", "bash", "-c", command],
            capture_output=True, text=True, check=False, timeout=60, env=os.environ | {"PATH": path},
        )  # fmt: skip
        text = done.stdout + done.stderr
        return Said(done.returncode, text, re.findall(r"^ *next: (.*)$", text, re.MULTILINE))

    def log(self) -> str:
        """What the daemon said."""
        return (self.home / "daemon.log").read_text()

    def close(self) -> None:
        """The daemon ends, and then the namespace with all that is in it."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((self.home / "daemon.pid").read_text()), signal.SIGTERM)
        assert self._holder.stdin
        assert self._holder.stdout
        self._holder.stdin.close()
        self._holder.wait(10)
        self._holder.stdout.close()


@pytest.fixture
def shield(tmp_path: Path) -> Iterator[Shield]:
    with Shield(Setup(tmp_path / "shield", rule="strict")) as made:
        yield made


@pytest.fixture
def board(tmp_path: Path, shield: Shield) -> Iterator[Board]:
    assert shield.ca_file.exists()  # the namespace trusts it as it trusts a public one
    made = Board(tmp_path)
    yield made
    made.close()


def test_a_new_user_is_led_from_nothing_to_the_first_delivered_reading(shield: Shield, board: Board) -> None:
    where = shield.where
    operators = "cat >/etc/sensor-agent/conf.d/fleet.toml <<'E'\n" + OPERATOR.format(**where) + "E"
    assert board.run(operators).code == 0

    asked = board.run("sensor-agent status")
    assert (asked.code, asked.next) == (2, ["sudo sensor-agent init --url URL"]), asked.text

    made = board.run(asked.next[0].replace("URL", where["shield"]))
    assert (made.code, "1 sensors: ds18b20-475d" in made.text, made.next) == (0, True, ["sensor-agent check"]), (
        made.text
    )

    checked = board.run(made.next[0])
    assert (checked.code, checked.next[-1]) == (1, "sudo sensor-agent enroll"), checked.text

    refused = board.run(checked.next[-1])
    assert (refused.code, refused.next) == (77, ["sudo sensor-agent enroll --token-file F # or --token-stdin"]), (
        refused.text
    )

    enrolled = board.run(refused.next[0].partition(" #")[0].replace(" F", f" {where['token_file']}"))
    assert (enrolled.code, enrolled.next) == (0, ["sensor-agent status"]), enrolled.text

    asked = board.run(enrolled.next[0])
    assert (asked.code, asked.next) == (2, ["sudo systemctl start sensor-agent"])

    assert board.run(asked.next[0]).code == 0
    assert within_half_a_minute(lambda: any(row["stored"] for row in shield.requests())), board.log()
    assert within_half_a_minute(lambda: board.run("sensor-agent status").code == 0), board.log()
    assert board.run("sensor-agent check").code == 0


def within_half_a_minute(happens: Callable[[], bool]) -> bool:
    """Whether it does."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if happens():
            return True
        threading.Event().wait(0.05)
    return False


@pytest.mark.parametrize("first", ["run", "read", "check", "enroll", "renew", "identity show", "status"])
def test_whatever_is_tried_first_leads_to_init(tmp_path: Path, first: str) -> None:
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told), own_log():
        code = cli.main(["--config", str(tmp_path / "config.toml"), "--root", str(tmp_path), *first.split()])
    assert code in {2, 78}
    assert re.search(r"next: sudo sensor-agent .*init --url URL", told.getvalue())
