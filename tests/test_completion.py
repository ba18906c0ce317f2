"""The completion as a real bash runs it, against the parsers that it was made of."""

import argparse
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.cli import parser
from agent.cli.completion import BEFORE, script

SCRIPT = script(parser())
PROGRAM = """
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_sensor_agent
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(*words: str, cwd: Path | None = None) -> list[str]:
    """What bash offers for the last of the words."""
    done = subprocess.run(
        ["bash", "--norc", "-c", SCRIPT + PROGRAM, "bash", "sensor-agent", *words],
        capture_output=True, text=True, check=True, cwd=cwd,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


def commands_of(top: argparse.ArgumentParser) -> list[str]:
    (action,) = [each for each in top._actions if isinstance(each, argparse._SubParsersAction)]
    return list(action.choices)


def test_all_commands_are_offered() -> None:
    assert offered("") == commands_of(parser())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["image"], ["image-check"]),
        (["identity", "ex"], ["export-csr"]),
        (["--config", "x.toml", "shield", "authority", "app"], ["approve"]),
        (["enroll", "--issuer", ""], ["cloudflare", "est", "cfssl", "manual"]),
        (["enroll", "--issuer", "=", "es"], ["est"]),
        (["check", "--off"], ["--offline"]),
        (["completion", ""], ["bash", "zsh"]),
        (["enroll", "--wait", ""], []),  # a number is nobody's to guess
        (["check", "--ro"], []),  # hidden
    ],
)
def test_words_are_completed_where_they_stand(words: list[str], expected: list[str]) -> None:
    assert offered(*words) == expected


def test_files_are_offered_where_a_file_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    for words in (["enroll", "--token-file", "to"], ["identity", "import", "to"], ["--config", "=", "to"]):
        assert offered(*words, cwd=tmp_path) == ["token"]


def test_bash_knows_the_function_for_the_command() -> None:
    done = subprocess.run(["bash", "--norc", "-c", SCRIPT + "complete -p"], capture_output=True, text=True, check=True)
    assert done.stdout == "complete -F _sensor_agent sensor-agent\n"


def test_zsh_takes_it_too() -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed: apt-get install zsh")
    program = "autoload -U compinit && compinit -u -D\n" + BEFORE["zsh"] + SCRIPT + "print $_comps[sensor-agent]"
    done = subprocess.run(["zsh", "-f", "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("_bash_complete -F _sensor_agent\n", "")
