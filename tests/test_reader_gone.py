"""Whoever reads our answer may have enough of it, as `head -1` has: that is no fault and needs no words."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from certifi import where
from world.readings import readings, spool_in
from world.rig import DEFAULTS, FREEZER_TABLE
from world.statuses import WELL

from agent.status_file import StatusFile

GONE = 128 + signal.SIGPIPE  # as a shell says of a program that the signal ended
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A stopped device whose answers are longer than a buffer, as the options that lead to it."""
    directory = tmp_path_factory.mktemp("board")
    values = {"directory": directory, "shield": "https://shield.test", "api": "https://api.test", "ca_file": where()}
    config = directory / "config.toml"
    config.write_text(DEFAULTS.format(**values, zone_id="z1", token_file="/y") + FREEZER_TABLE)
    with spool_in(directory) as spool:
        spool.append(readings(*range(4000)))
    StatusFile(directory / "board").write(WELL)
    return [f"--config={config}", f"--root={directory / 'board'}"]


def run_to(out: int, *words: str) -> subprocess.CompletedProcess[str]:
    """The command with its stdout there."""
    command = [sys.executable, "-m", "agent", *words]
    return subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, timeout=30, check=False, env=BUFFERED)


@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "history --help",
        "completion bash",
        "status",
        "status --json",
        "status --prometheus",
        "status --watch",
        "history --csv --since 2026-01-01",
        "history --json --since 2026-01-01",
        "history --since 2026-01-01",
        "spool show",
        "spool export -",
        "check --offline",
    ],
)
def test_a_reader_that_has_gone_is_told_nothing(board: list[str], words: str) -> None:
    far, near = os.pipe()
    os.close(far)
    try:
        done = run_to(near, *board, *words.split())
    finally:
        os.close(near)
    assert (done.returncode, done.stderr) == (GONE, "")


def started(*words: str) -> subprocess.Popen[bytes]:
    """The command with a pipe from its stdout."""
    command = [sys.executable, "-m", "agent", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=BUFFERED)


def closed_after_a_line(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes, int]:
    """The first line, then, with nobody to read the rest, what the command says and ends with."""
    assert process.stdout is not None
    first = process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    try:
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    return first, said, process.returncode


@pytest.mark.parametrize("words", ["history --csv --since 2026-01-01", "spool export -"])
def test_a_reader_that_takes_the_first_line_gets_it(board: list[str], words: str) -> None:
    first, said, code = closed_after_a_line(started(*board, *words.split()))
    assert b"sensor,time,celsius" in first
    assert (said, code) == (b"", GONE)


def test_a_watcher_ends_with_its_reader_though_nothing_changes(board: list[str]) -> None:
    _, said, code = closed_after_a_line(started(*board, "status", "--watch"))
    assert (said, code) == (b"", GONE)


def test_a_closed_stdout_costs_a_command_without_an_answer_nothing(board: list[str], tmp_path: Path) -> None:
    words = [sys.executable, "-m", "agent", *board, "status", "--prometheus", str(tmp_path / "agent.prom")]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *words],
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
        env=BUFFERED,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", ["status --json", "history --csv --since 2026-01-01", "spool export -", "--help"])
def test_an_answer_that_finds_no_room_is_told_in_a_line(board: list[str], words: str) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = run_to(full, *board, *words.split())
    finally:
        os.close(full)
    assert done.returncode == 73
    assert done.stderr == "sensor-agent: the answer cannot be written: No space left on device\n  next: df\n"


def test_an_answer_that_nobody_wants_still_has_its_exit_code(board: list[str]) -> None:
    words = [sys.executable, "-m", "agent", *board, "status"]
    heard = subprocess.run(words, capture_output=True, timeout=30, check=False)
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *words]
    done = subprocess.run(closed, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (heard.returncode, "")


def test_a_letter_that_the_terminal_has_not_ends_nothing() -> None:
    words = [sys.executable, "-m", "agent", "--config=/kühl.toml", "check", "--offline"]
    environment = BUFFERED | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words, capture_output=True, timeout=30, check=False, env=environment)
    assert b"/k?hl.toml: is not there" in done.stdout
    assert (done.returncode, done.stderr) == (78, b"")
