"""Where the demo keeps its things: a directory of one demo, and said so where it cannot be."""

from pathlib import Path

import pytest

from agent.cli import main
from agent.devshield.stage import Stage


def files(directory: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def test_a_second_demo_in_one_directory_is_refused_and_touches_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Stage(tmp_path).freezer(-21.0)  # as a person left it
    before = files(tmp_path)
    assert main(["demo", "--keep", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.err == (
        f"sensor-agent: {tmp_path} holds a demo already, which may still run\n"
        f"  next: another directory; or end that demo with Ctrl-C, then: rm -r {tmp_path}\n"
    )
    assert (said.out, files(tmp_path)) == ("", before)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["demo", "--keep", str(tmp_path / "file/demo")]) == 73
    assert capsys.readouterr().err.startswith(f"sensor-agent: {tmp_path}/file/demo cannot be made: Not a directory\n")
