"""What the documents tell a reader to type or to open is there: commands, `make` targets, files."""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from agent.cli import parser

ROOT: Final = Path(__file__).parent.parent
MARKDOWN: Final = [
    file.relative_to(ROOT)
    for file in sorted([*ROOT.glob("*.md"), *ROOT.glob("packaging/*.md"), *ROOT.glob("docs/*.md")])
]
PATH_SUFFIXES: Final = (".py", ".md", ".toml", ".txt", ".json", ".service", ".sysusers", ".timer", ".path", ".js")

MADE_BY_MAKE: Final = ("build", "dist")  # there or not, by what was run before


def code(markdown: str) -> list[str]:
    """Lines of fenced blocks and texts of inline code, in the order in which they stand."""
    blocks = re.findall(r"^```.*\n((?:.*\n)*?)```", markdown, flags=re.MULTILINE)
    prose = re.sub(r"^```.*\n(?:.*\n)*?```", "", markdown, flags=re.MULTILINE)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    return [line for block in blocks for line in block.splitlines()] + spans


def agent_commands(lines: list[str]) -> Iterator[list[str]]:
    """Arguments of each `sensor-agent …` in the lines; a comment, a pipe or a redirection ends one."""
    for line in lines:
        for command in re.split(r"\|\|?|&&|;|\d?>", re.sub(r"(^|\s)#.*", "", line)):
            found = re.match(r"\s*(?:\$ )?(?:sudo (?:-u \S+ )?)?(?:\S*/)?sensor-agent (\S.*)", command)
            if found:
                yield shlex.split(found[1])


def make_targets(lines: list[str]) -> Iterator[str]:
    """Targets of each `make …` in the lines."""
    for line in lines:
        yield from re.findall(r"(?:^|&& )\s*(?:\$ )?make ([a-z-]+)", line)


def paths(spans: list[str]) -> Iterator[str]:
    """What reads as a path of this tree: a known suffix, or a first part that is a directory here."""
    for span in spans:
        if not re.fullmatch(r"[\w.*-]+(/[\w.*-]*)*", span) or span.startswith("*"):
            continue
        first, slash, _ = span.partition("/")
        if span.endswith(PATH_SUFFIXES) or (slash and (ROOT / first).is_dir() and first not in MADE_BY_MAKE):
            yield span


def commented(toml: str) -> list[str]:
    """Commands in the comments of a TOML file: from the word on, or what stands between back-quotes."""
    talk = [line.removeprefix("#").strip() for line in toml.splitlines() if line.startswith("# ")]
    return [found[0] for line in talk if (found := re.search(r"(?<!`)sensor-agent [a-z].*", line))] + code(
        "\n".join(talk)
    )


DOCUMENTS: Final = {str(name): code((ROOT / name).read_text(encoding="utf-8")) for name in MARKDOWN}
LINES: Final = DOCUMENTS | {
    "config.example.toml": commented((ROOT / "config.example.toml").read_text(encoding="utf-8"))
}
COMMANDS: Final = [(name, *argv) for name, lines in LINES.items() for argv in agent_commands(lines)]
TARGETS: Final = sorted({(name, target) for name, lines in DOCUMENTS.items() for target in make_targets(lines)})
PATHS: Final = sorted({(name, path) for name, lines in DOCUMENTS.items() for path in paths(lines)})


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_in_a_document_is_understood(command: tuple[str, ...]) -> None:
    said, code_at_end = io.StringIO(), 0
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            parser().parse_args(command[1:])
    except SystemExit as end:  # with 0 after --help and --version
        code_at_end = int(end.code or 0)

    assert code_at_end == 0, said.getvalue()


@pytest.mark.parametrize(("document", "target"), TARGETS)
def test_each_make_target_in_a_document_is_in_the_makefile(document: str, target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), f"{document} says make {target}"


@pytest.mark.parametrize(("document", "path"), PATHS)
def test_each_path_in_a_document_is_there(document: str, path: str) -> None:
    beside = (ROOT / document).parent

    assert any(ROOT.glob(path)) or any(beside.glob(path)), f"{document} names {path}"


@pytest.mark.parametrize(
    "target", re.findall(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split()
)
def test_each_make_target_is_in_the_help(target: str) -> None:
    assert re.search(rf"^{target}:.*## \S", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


MADE: Final = """Say `sensor-agent read --json` or
`make test`, see `agent/gone.py` and `a/b`.
```sh
$ sudo sensor-agent enroll --dry-run  # a try
sudo -u somebody sensor-agent status
cat x | sensor-agent check && make demo
```
"""


def test_commands_are_found_in_blocks_and_in_prose() -> None:
    assert list(agent_commands(code(MADE))) == [["enroll", "--dry-run"], ["status"], ["check"], ["read", "--json"]]


def test_make_targets_are_found_in_blocks_and_in_prose() -> None:
    assert list(make_targets(code(MADE))) == ["demo", "test"]


def test_paths_are_found_in_prose() -> None:
    assert list(paths(code(MADE))) == ["agent/gone.py"]


def test_commands_are_found_in_the_comments_of_a_configuration() -> None:
    toml = "# mistakes:   sensor-agent check --offline\n#key = 1\n# `sensor-agent read` reads\n"

    assert list(agent_commands(commented(toml))) == [["check", "--offline"], ["read"]]
