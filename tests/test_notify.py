"""What systemd is told, on a socket of its kind."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent.notify import Notifier, watchdog_seconds


def test_each_word_is_said_as_systemd_knows_it() -> None:
    said: list[str] = []
    notifier = Notifier(said.append)
    notifier.ready()
    notifier.status("2 sensors, 0 pending")
    notifier.alive()
    notifier.stopping()
    assert said == ["READY=1", "STATUS=2 sensors, 0 pending", "WATCHDOG=1", "STOPPING=1"]


def test_a_status_is_said_when_it_changes() -> None:
    said: list[str] = []
    notifier = Notifier(said.append)
    for text in ("a", "a", "b", "a"):
        notifier.status(text)
    assert said == ["STATUS=a", "STATUS=b", "STATUS=a"]


def test_a_reload_is_announced_with_its_instant() -> None:
    said: list[str] = []
    Notifier(said.append).reloading()
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", said[0])


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
    ],
)
def test_the_watchdog_wants_to_be_petted_within(environ: dict[str, str], seconds: float | None) -> None:
    assert watchdog_seconds(environ) == seconds


LIBRARY = """
import os, socket
def notify(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(text.encode(), os.environ["MANAGER"])
"""

CHILD = """
import os
from agent.errors import ConfigError
from agent.notify import from_environment
try:
    from_environment(os.environ).ready()
except ConfigError as error:
    print(error.exit_code, error, error.hint)
"""


def said_by_child(directory: Path, *, library: str | None, told: bool = True) -> tuple[str, list[bytes]]:
    """What a process prints, and what it sends to the service manager's socket, of which it was `told` or not."""
    (directory / "systemd").mkdir()
    (directory / "systemd" / "__init__.py").touch()
    if library is not None:
        (directory / "systemd" / "daemon.py").write_text(library)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(directory / "notify"))
        sock.setblocking(False)
        paths = os.pathsep.join([str(directory), *(path for path in sys.path if path)])
        environ = {"PYTHONPATH": paths, "MANAGER": str(directory / "notify")}
        environ |= {"NOTIFY_SOCKET": environ["MANAGER"]} if told else {}
        done = subprocess.run([sys.executable, "-c", CHILD], env=environ, capture_output=True, text=True, check=True)
        try:
            return done.stdout, [sock.recv(4096)]
        except BlockingIOError:
            return done.stdout, []


def test_under_systemd_it_is_told(tmp_path: Path) -> None:
    assert said_by_child(tmp_path, library=LIBRARY) == ("", [b"READY=1"])


def test_without_a_socket_nothing_is_said(tmp_path: Path) -> None:
    assert said_by_child(tmp_path, library=LIBRARY, told=False) == ("", [])


def test_a_socket_without_the_library_ends_with_78_and_what_to_install(tmp_path: Path) -> None:
    printed, said = said_by_child(tmp_path, library=None)
    assert printed.startswith("78 NOTIFY_SOCKET is set")
    assert "python3-systemd" in printed
    assert said == []
