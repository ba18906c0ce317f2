"""The status file, and who wrote it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent import status_file
from agent.status_file import StatusFile


def test_what_was_written_is_read_and_its_writer_known_to_be_alive(tmp_path: Path) -> None:
    StatusFile(tmp_path).write({"state": "healthy"})
    found = status_file.read(tmp_path)
    assert found is not None
    assert (found[0]["state"], found[1]) == ("healthy", True)


def test_a_killed_writer_is_known_to_be_gone(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from agent.status_file import StatusFile;"
        "StatusFile(Path(sys.argv[1])).write({'state': 'healthy'}); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    found = status_file.read(tmp_path)
    assert found is not None
    assert (found[0]["state"], found[1]) == ("healthy", False)


def test_another_process_that_got_its_number_is_not_taken_for_it(tmp_path: Path) -> None:
    StatusFile(tmp_path).write({})
    file = tmp_path / status_file.RUN_DIRECTORY / "status.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"pid_started": 1}))
    found = status_file.read(tmp_path)
    assert found is not None
    assert not found[1]


def test_without_a_daemon_since_boot_there_is_nothing(tmp_path: Path) -> None:
    assert status_file.read(tmp_path) is None


def test_anyone_may_read_the_status_and_nobody_else_write_it(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        file = StatusFile(tmp_path)
        file.write({})
    finally:
        os.umask(before)
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
