"""The manual pages: whatever the parser and the example configuration say is on them, and groff can read them."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from agent.cli import parser
from agent.cli.manual import command_page, commands, configuration_page, main

EXAMPLE: Final = Path(__file__).parent.parent / "config.example.toml"


def shown(page: str) -> str:
    """The page's text without roff's escapes and with its lines joined."""
    return " ".join(page.replace("\\-", "-").replace("\\e", "\\").replace('""', '"').split())


COMMANDS: Final = shown(command_page(parser(), ""))
CONFIGURATION: Final = shown(configuration_page(EXAMPLE.read_text(encoding="utf-8"), ""))


@pytest.mark.parametrize("words", [words for words, _ in commands(parser(), "sensor-agent")])
def test_each_command_is_on_the_page(words: str) -> None:
    assert f".SS {words} " in COMMANDS


@pytest.mark.parametrize("words", ["identity export-csr", "shield authority token"])
def test_commands_within_commands_are_on_the_page(words: str) -> None:
    assert f".SS sensor-agent {words} " in COMMANDS


@pytest.mark.parametrize("option", ["--config FILE", "--token-stdin", "--json"])
def test_options_are_on_the_page(option: str) -> None:
    assert f".B {option} " in COMMANDS


def test_hidden_options_are_not_on_the_page() -> None:
    assert ".B --root" not in COMMANDS


@pytest.mark.parametrize("key", sorted(set(re.findall(r"^#?([a-z_]+) = ", EXAMPLE.read_text(), re.MULTILINE))))
def test_each_key_is_on_the_page(key: str) -> None:
    assert f".BR {key} " in CONFIGURATION


def test_a_key_has_its_default_and_its_talk() -> None:
    page = shown(configuration_page("# Seconds of rest.\n#rest_seconds = 2.0\n", ""))

    assert '.BR rest_seconds " = 2.0" Seconds of rest.' in page


def test_no_line_is_taken_for_a_request() -> None:
    page = configuration_page("# .so /etc/passwd\n#key = 1\n", "")

    assert "\\&.so" in page


def test_groff_reads_both_pages_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed: apt-get install groff-base")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1764032400")
    main(tmp_path, EXAMPLE)

    for page in ("sensor-agent.1", "sensor-agent.toml.5"):
        assert "2025-11-25" in (tmp_path / page).read_text()
        run = subprocess.run(
            ["groff", "-man", "-ww", "-Kutf8", "-Tutf8", tmp_path / page], capture_output=True, text=True, check=True
        )
        assert run.stderr == ""
