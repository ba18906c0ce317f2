"""The status file and the lock beside it."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from agent import status_file
from agent.errors import TryLater
from agent.status_file import StatusFile


def test_what_was_written_is_read_and_its_writer_known_to_be_alive(tmp_path: Path) -> None:
    with closing(StatusFile(tmp_path)) as file:
        file.write({"state": "healthy"})
        assert status_file.read(tmp_path) == ({"state": "healthy"}, True)
    assert status_file.read(tmp_path) == ({"state": "healthy"}, False)


def test_a_killed_writer_is_known_to_be_gone(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from agent.status_file import StatusFile;"
        "StatusFile(Path(sys.argv[1])).write({'state': 'healthy'}); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert status_file.read(tmp_path) == ({"state": "healthy"}, False)


def test_without_a_daemon_since_boot_there_is_nothing(tmp_path: Path) -> None:
    assert status_file.read(tmp_path) is None


def test_a_second_daemon_is_told_that_there_is_one(tmp_path: Path) -> None:
    with closing(StatusFile(tmp_path)), pytest.raises(TryLater, match="another sensor-agent is running"):
        StatusFile(tmp_path)


def test_anyone_may_read_the_status_and_nobody_else_write_it(tmp_path: Path) -> None:
    with closing(StatusFile(tmp_path)) as file:
        file.write({})
        mode = (file.directory / "status.json").stat().st_mode & 0o777
    assert mode == 0o644


def test_a_directory_that_cannot_be_made_costs_the_status_and_not_the_daemon(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run").write_text("in the way")
    file = StatusFile(tmp_path)
    file.write({"state": "healthy"})
    assert [record.getMessage() for record in caplog.records] == ["status cannot be written"]


def test_a_file_that_is_not_a_status_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / status_file.RUN_DIRECTORY
    directory.mkdir(parents=True)
    (directory / "status.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="is not a status"):
        status_file.read(tmp_path)
