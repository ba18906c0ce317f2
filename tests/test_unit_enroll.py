"""systemd/sensor-agent-enroll.service: what it remembers of a token that was refused."""

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

from agent.config.sections import EnrollConfig

UNIT: Final = (Path(__file__).parent.parent / "systemd/sensor-agent-enroll.service").read_text(encoding="utf-8")
DAY: Final = 86_400


class Board:
    """Its two directories, and the unit's own lines run on them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.mark, self.token = directory / "store/refused", directory / "etc/enroll-token"
        for name in ("store", "etc/conf.d"):
            (directory / name).mkdir(parents=True)
        self.token.write_text("first")
        (directory / "etc/config.toml").write_text("[uplink]")

    def asks(self) -> bool:
        """Whether the next run asks."""
        return self._run("ExecCondition") == 0

    def ended(self, result: str, status: str = "") -> None:
        """A run came to that end."""
        assert self._run("ExecStopPost", SERVICE_RESULT=result, EXIT_STATUS=status) == 0

    def _run(self, key: str, **environ: str) -> int:
        (line,) = re.findall(rf"^{key}=/bin/sh -c '(.*)'$", UNIT, flags=re.MULTILINE)
        line = line.replace("/var/lib/sensor-agent-identity", str(self.mark.parent))
        line = line.replace("/etc/sensor-agent", str(self.directory / "etc"))
        environ = {"PATH": "/usr/bin:/bin", "TOKEN": str(self.token), **environ}
        return subprocess.run(["/bin/sh", "-c", line], env=environ, check=False).returncode


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """One whose token was refused."""
    made = Board(tmp_path)
    assert made.asks()
    made.ended("exit-code", "77")
    assert not made.asks()
    return made


@pytest.mark.parametrize("name", ["enroll-token", "config.toml", "conf.d/10-zone.toml"])
def test_another_token_or_configuration_than_the_refused_one_is_tried_at_once(board: Board, name: str) -> None:
    (board.directory / "etc" / name).write_text("another")
    assert board.asks()


def test_the_refused_one_is_tried_again_after_a_day_and_a_skipped_run_does_not_put_it_off(board: Board) -> None:
    yesterday = time.time() - DAY - 60
    os.utime(board.mark, (yesterday, yesterday))
    board.ended("exec-condition", "77")  # systemd still has the status of the run before
    assert board.asks()


def test_a_token_that_is_kept_elsewhere_is_compared_there(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.token = tmp_path / "elsewhere"
    board.token.write_text("first")
    board.ended("exit-code", "77")
    assert not board.asks()
    board.token.write_text("another")
    assert board.asks()


def test_where_the_token_is_says_a_line_that_a_drop_in_can_replace() -> None:
    assert f"\nEnvironment=TOKEN={EnrollConfig().token_file}\n" in UNIT
    assert UNIT.count('"$TOKEN"') == 2


def test_a_note_of_the_future_by_a_clock_that_was_wrong_holds_nobody_up(board: Board) -> None:
    future = time.time() + 365 * DAY
    os.utime(board.mark, (future, future))
    assert board.asks()


def test_the_token_itself_is_not_in_what_is_remembered(board: Board) -> None:
    assert b"first" not in board.mark.read_bytes()


@pytest.mark.parametrize(
    ("result", "status"), [("success", "0"), ("exit-code", "75"), ("exit-code", "65"), ("timeout", "")]
)
def test_any_other_end_is_tried_again_in_five_minutes(tmp_path: Path, result: str, status: str) -> None:
    board = Board(tmp_path)
    board.ended(result, status)
    assert board.asks()
