"""A configuration directory that this user may not look into: said as what it is, by every command."""

from pathlib import Path

import pytest
from world.enrollee import own_log
from world.users import as_nobody, let_in

from agent import cli

COMMANDS = [
    "status",
    "check --offline",
    "read",
    "history",
    "spool show",
    "identity show",
    "enroll",
    "renew",
    "run --once",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directory_that_may_not_be_looked_into_is_said_and_not_taken_for_a_missing_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    let_in(tmp_path)
    (tmp_path / "etc").mkdir(mode=0o700)
    words = ["--root", str(tmp_path), "--config", str(tmp_path / "etc/config.toml"), *command.split()]
    with own_log():
        cli.main(words)  # imports what nobody may not where Python lies in root's home
    capfd.readouterr()
    with as_nobody(), own_log():
        code = cli.main(words)
    told = "".join(capfd.readouterr())
    assert "Traceback" not in told
    assert "init" not in told
    assert code in {1, 2, 78}
    assert command == "status" or "Permission denied" in told
