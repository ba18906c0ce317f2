"""`status` as it is typed: its forms, its exit codes, in place on a terminal, and fast whatever is queued."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from world.statuses import WELL
from world.users import as_nobody, let_in

from agent.cli.status_seen import NoStatus, seen
from agent.control import Control
from agent.status_file import StatusFile

AGENT = [sys.executable, "-m", "agent"]
# what a shell starts in the background does not heed Ctrl-C, nor do its children
WATCHED = ["env", "--default-signal=INT", *AGENT]


def fresh(**changed: Any) -> dict[str, Any]:
    """A status of this minute."""
    return WELL | {"written": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")} | changed


def ask(root: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*AGENT, f"--root={root}", "status", *arguments],
        env={**os.environ, **environ}, capture_output=True, text=True, encoding="utf-8", check=False, timeout=30,
    )  # fmt: skip


@pytest.mark.parametrize(("state", "code"), [("healthy", 0), ("degraded", 1), ("broken", 2), ("stopped", 2)])
def test_the_exit_code_is_for_monitoring(tmp_path: Path, state: str, code: int) -> None:
    StatusFile(tmp_path).write(fresh(state=state))
    assert ask(tmp_path, "--json").returncode == code


def test_a_program_gets_an_object_also_before_the_first_daemon(tmp_path: Path) -> None:
    done = ask(tmp_path, "--json")
    assert done.returncode == 2
    said = json.loads(done.stdout)
    assert {*WELL, "pid", "pid_started"} == {*said}
    assert said["state"] == "stopped"
    assert said["problems"][0]["what"] == "no daemon has run since boot"
    assert said["problems"][0]["fix"]
    nulls = ("since", "written", "pid", "pid_started", "spool", "uplink", "clock", "identity")
    assert [said[part] for part in nulls] == [None] * 8


@pytest.mark.parametrize("status", ["{}", json.dumps(WELL | {"clock": None}), "[]", "{"])
def test_a_status_that_is_none_is_said_to_be_so(tmp_path: Path, status: str) -> None:
    StatusFile(tmp_path).write(fresh())
    (tmp_path / "run/sensor-agent/status.json").write_text(status)
    done = ask(tmp_path)
    assert done.returncode == 2
    assert "the status cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
    assert "sensor_agent_up 0" in ask(tmp_path, "--prometheus").stdout


@pytest.mark.parametrize(
    ("changed", "celsius"),
    [({}, True), ({"state": "stopped"}, False), ({"written": "2026-01-01T00:00:00Z"}, False)],
)
def test_metrics_have_no_old_temperature_as_one_of_now(tmp_path: Path, changed: dict[str, str], celsius: bool) -> None:
    StatusFile(tmp_path).write(fresh(**changed))
    assert ("temperature_celsius{" in ask(tmp_path, "--prometheus").stdout) is celsius


def test_a_configuration_that_is_refused_is_why_no_daemon_runs(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[uplink]\nurl = 'https://shield.example.com/temps'\ncolour = 'red'\n")
    done = ask(tmp_path, "--config", str(config))
    assert done.returncode == 2
    assert "no daemon has run since boot" in done.stderr
    assert "uplink.colour" in done.stderr
    assert done.stderr.endswith(f"next: sensor-agent --config {config} check --offline\n")


def test_a_configuration_that_this_user_may_not_read_is_no_reason_why_none_runs(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[uplink]\nurl = 'https://shield.example.com/temps'\n")
    config.chmod(0o600)
    let_in(tmp_path)
    with as_nobody(), pytest.raises(NoStatus, match="as far as this user may see") as refused:
        seen(tmp_path, datetime.now(UTC), config)
    assert refused.value.hint == f"sudo sensor-agent --config {config} status"


def test_a_daemon_that_cannot_write_its_status_is_not_said_to_be_none(tmp_path: Path) -> None:
    where = tmp_path / "run/sensor-agent"
    served = Control(where, lambda _question, _user: iter(()))
    served.start()
    while not (where / "control").exists():
        served.join(0.01)
    said = [ask(tmp_path).stderr]
    StatusFile(tmp_path).write(fresh() | {"pid": 1})  # of a daemon before
    (where / "status.json").write_text((where / "status.json").read_text().replace(f'"pid": {os.getpid()}', '"pid": 0'))
    said.append(ask(tmp_path).stderr)
    served.close()
    for each in said:
        assert "a daemon runs and has written no status" in each
        assert each.endswith(f"next: df {where}\n")


def test_it_needs_no_colour_and_no_unicode(tmp_path: Path) -> None:
    StatusFile(tmp_path).write(fresh())
    done = ask(tmp_path, PYTHONIOENCODING="ascii", LC_ALL="C", COLUMNS="40")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert max(map(len, done.stdout.splitlines())) <= 40


@dataclass
class Terminal:
    """The far end of a pseudo-terminal with the command at the near one."""

    process: subprocess.Popen[bytes]
    far: int
    shown: str = ""

    def until(self, text: str) -> str:
        """What was shown since the last call, up to and with that text."""
        deadline = time.monotonic() + 20
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if select.select([self.far], [], [], 0.1)[0]:
                self.shown += os.read(self.far, 65536).decode()
        before, _, self.shown = self.shown.partition(text)
        return before + text


@contextmanager
def terminal(root: Path, *arguments: str, term: str = "xterm") -> Iterator[Terminal]:
    far, near = pty.openpty()
    process = subprocess.Popen(
        [*WATCHED, f"--root={root}", "status", *arguments], stdin=near, stdout=near, stderr=near,
        env=os.environ | {"TERM": term, "PYTHONIOENCODING": "utf-8"}, start_new_session=True,
    )  # fmt: skip
    os.close(near)
    try:
        yield Terminal(process, far)
    finally:
        process.kill()
        process.wait()
        os.close(far)


def test_watch_shows_each_change_in_place_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    file = StatusFile(tmp_path)
    with terminal(tmp_path, "--watch") as seen:
        first = seen.until("no daemon has run since boot")
        assert first.startswith("\x1b[?25l\x1b[2J\x1b[H")
        file.write(fresh())
        again = seen.until("healthy")
        assert "\x1b[H" in again
        assert "\x1b[2J" not in again  # written over, not wiped: no flicker
        file.write(fresh(state="degraded"))
        seen.until("degraded")
        os.killpg(seen.process.pid, signal.SIGINT)
        end = seen.until("\x1b[?25h")  # the cursor is back
        assert "Traceback" not in end
        assert seen.process.wait(10) == 1


def test_watch_moves_no_cursor_that_the_terminal_has_not(tmp_path: Path) -> None:
    StatusFile(tmp_path).write(fresh())
    with terminal(tmp_path, "--watch", term="dumb") as seen:
        assert "\x1b" not in seen.until("healthy")


def test_watch_without_a_terminal_gives_a_text_for_each_change(tmp_path: Path) -> None:
    file = StatusFile(tmp_path)
    file.write(fresh())
    process = subprocess.Popen(
        [*WATCHED, f"--root={tmp_path}", "status", "--watch", "--json"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    try:
        assert next(line for line in lines if '"state"' in line).strip() == '"state": "healthy",'
        file.write(fresh(state="broken"))
        assert next(line for line in lines if line.startswith('  "state"')).strip() == '"state": "broken",'
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "\x1b" not in rest


def test_anyone_may_ask(tmp_path: Path) -> None:
    StatusFile(tmp_path).write(fresh())
    let_in(tmp_path)
    with as_nobody():
        assert seen(tmp_path, datetime.now(UTC))["state"] == "healthy"
