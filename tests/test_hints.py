"""A next command is one: what is printed after `next:` runs as it stands, with its remark behind a number sign."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from agent.cli import FAMILIES

AGENT: Final = Path(__file__).parent.parent / "agent"
OURS: Final = "|".join(family.replace("_", "-") for family in FAMILIES)
COMMAND: Final = re.compile(
    rf"(sudo )?(sensor-agent ((--root|--config) X )?X?({OURS})|systemctl|journalctl|timedatectl|dmesg|apt|chmod|chown|chgrp"
    r"|df|ls|findmnt|id|namei|getent|ip|ping|rm|mv|tee|tail|echo|curl|openssl|modprobe|usermod|udevadm|hwclock|mount"
    r"|raspi-config|reboot|grep|i2cdetect|sysctl|pip|X)\b(?!:)"
)


def texts(node: ast.AST) -> Iterator[str]:
    """The strings below it that are no docstrings, with an X for each value put into one."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        for child in ast.iter_child_nodes(node):
            yield from texts(child)


def hints() -> Iterator[tuple[str, str]]:
    """Module and text of each that begins like a command of more than one word."""
    for file in sorted(AGENT.rglob("*.py")):
        if "devshield" not in file.parts:
            for text in texts(ast.parse(file.read_text(encoding="utf-8"))):
                if COMMAND.match(text) and " " in text and not text.startswith("X"):
                    yield str(file.relative_to(AGENT)), text


@pytest.mark.parametrize(("module", "hint"), sorted(set(hints())))
def test_a_next_command_runs_as_it_is_printed(module: str, hint: str) -> None:
    assert subprocess.run(["bash", "-n", "-c", hint], check=False, capture_output=True).returncode == 0
    command = re.sub(r"'[^']*'", "X", hint.partition(" # ")[0])
    for part in re.split(r"; |&& |\| |: |, ", command):
        assert COMMAND.match(part) or not part.strip(), f"{module}: {part!r} is no command"


@pytest.mark.parametrize("remark", [" (why)", "; then: look", ", then again", "; if it stays: report it"])
def test_a_remark_in_it_is_found(remark: str) -> None:
    with pytest.raises(AssertionError):
        test_a_next_command_runs_as_it_is_printed("a.py", f"sensor-agent check{remark}")
