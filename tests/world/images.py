"""An image of a device as `image-check` finds it, mounted and not booted."""

from pathlib import Path

import pytest

from agent.cli import main

CLEAN = '[uplink]\nurl = "https://shield.example.com/temps"\n'


def clean_image(root: Path) -> Path:
    """A tree as it should be; gives its root."""
    put(root, "etc/sensor-agent/config.toml", CLEAN)
    put(root, "etc/machine-id", "")
    put(root, "var/lib/sensor-agent-identity/lock", "")
    return root


def put(root: Path, name: str, text: str = "something\n") -> Path:
    """Write a file; gives its path."""
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def linked(root: Path, name: str, target: str) -> None:
    """Make a link, in the place of a file if there is one."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).unlink(missing_ok=True)
    (root / name).symlink_to(target)


def check(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and what was said."""
    code = main(["image-check", str(root)])
    said = capsys.readouterr()
    return code, said.out + said.err


def reset(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Take out what `image-check` names."""
    assert main(["--root", str(root), "identity", "reset", "--image"]) == 0
    capsys.readouterr()
