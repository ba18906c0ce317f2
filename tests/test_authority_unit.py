"""The example of a unit for a fleet's authority: systemd takes it, and its command is one that lets our devices in."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from agent.cli import parser
from agent.cli.shield_authority import DIRECTORY
from agent.device import device_name
from agent.devshield.registration.policy import Policy, allows

UNIT: Final = Path(__file__).parent.parent / "packaging/authority/sensor-agent-authority.service"
TEXT: Final = UNIT.read_text(encoding="utf-8")
(COMMAND,) = re.findall(r"^ExecStart=/usr/bin/sensor-agent (.*)", TEXT.replace("\\\n", ""), flags=re.MULTILINE)


@pytest.mark.parametrize("words", [["verify", "--man=no"], ["security", "--offline=true", "--threshold=20"]])
def test_systemd_accepts_it_as_locked_up(words: list[str], tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    (tmp_path / UNIT.name).write_text(TEXT.replace("/usr/bin/sensor-agent", sys.executable), encoding="utf-8")
    run = subprocess.run(["systemd-analyze", *words, tmp_path / UNIT.name], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout[-300:] + run.stderr
    assert "Unknown key" not in run.stderr


def test_its_state_is_where_the_operators_commands_look() -> None:
    assert f"/var/lib/{re.findall('^StateDirectory=(.*)', TEXT, re.MULTILINE)[0]}" == DIRECTORY
    assert "StateDirectoryMode=0700" in TEXT.splitlines()


@pytest.mark.parametrize(
    ("file", "content"),
    [("sys/firmware/devicetree/base/serial-number", "10000000abcdef12\0"), ("etc/machine-id", "0" * 31 + "1\n")],
)
def test_its_names_are_those_that_boards_of_one_image_have(file: str, content: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(content)
    args = parser().parse_args(shlex.split(COMMAND))

    assert allows(Policy(tuple(args.names)), device_name("", tmp_path))
