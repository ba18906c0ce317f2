"""The reference pages as Markdown, made of the parsers, config.example.toml, the errors and the events.

Nothing is said here that the code does not say, so a page can never be behind it.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.cli import parser
from agent.cli.manual import SECTION, SETTING, commands
from agent.events import MESSAGE_IDS

ROOT: Final = Path(__file__).parent.parent.parent
ENTRY: Final = re.compile(
    r"^-- ([0-9a-f]{32})\nSubject: (.*)\n(?:[A-Z][\w-]*: .*\n)*\n((?:(?!# |-- ).*\n?)*)", re.MULTILINE
)


def commands_page() -> str:
    """Every command with its options, as `--help` has them."""
    top = parser()
    everywhere = {tuple(action.option_strings) for action in top._actions if action.option_strings}  # noqa: SLF001 - argparse tells nobody else
    lines = ["# Commands", "", escaped(top.description), ""]
    lines += ["Understood by each of them:", "", *_options(top, but=set())]
    for words, command in commands(top, "sensor-agent"):
        lines += ["", f"## {words.removeprefix('sensor-agent ')}", "", escaped(command.description), ""]
        lines += [
            "```",
            command.format_usage().removeprefix("usage: ").rstrip().replace("\n" + " " * 7, "\n"),
            "```",
            "",
        ]
        lines += _options(command, but=everywhere)
        if command.epilog and command.epilog != top.epilog:
            lines += ["", escaped(command.epilog)]
    return "\n".join(lines) + "\n"


def _options(of: argparse.ArgumentParser, *, but: set[tuple[str, ...]]) -> list[str]:
    rows = []
    for action in of._actions:  # noqa: SLF001
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            continue
        if action.dest == "help" or tuple(action.option_strings) in but:
            continue
        shown = action.metavar or (action.choices and "|".join(map(str, action.choices))) or action.dest
        name = " ".join([", ".join(action.option_strings), "" if action.nargs == 0 else str(shown)]).strip()
        rows.append(f"| `{name.replace('|', chr(92) + '|')}` | {escaped(action.help)} |")
    return ["| argument | what |", "|---|---|", *rows] if rows else []


def configuration_page(example: str) -> str:
    """Every key with what config.example.toml says of it, by section."""
    lines, talk = ["# Configuration", ""], list[str]()
    for line in example.splitlines():
        if line.startswith("# ") and not set(line) <= {"#", "-", " "}:
            talk.append(line[2:])
        elif section := SECTION.fullmatch(line):
            # the second table of sensors shows other drivers' keys, and is no section of its own
            title = f"## {section[1].strip('[]')}"
            lines += [_said(talk), ""] if talk else []
            lines += [] if title in lines else [title, ""]
            talk = []
        elif setting := SETTING.fullmatch(line):
            if talk or line.startswith("#") or "required" not in lines[-1].lower():
                lines += [f"`{setting[1]} = {setting[2]}`", "", f":   {_said(talk)}" if talk else ":   as above", ""]
            talk = []
        elif talk:
            lines += [_said(talk), ""]
            talk = []
    return "\n".join(lines) + "\n"


def _said(talk: list[str]) -> str:
    return escaped(re.sub(r" {3,}", " ", " ".join(talk)))


def exit_codes() -> list[tuple[int, str]]:
    """Number and meaning, from the parser's last words."""
    return [(int(code), what.strip()) for code, what in re.findall(r"(\d+) ([^,.]+)", parser().epilog or "")]


def explanations(catalogue: str) -> dict[str, tuple[str, str]]:
    """Subject and text of each number in the journal's catalogue."""
    return {number: (subject, text.strip()) for number, subject, text in ENTRY.findall(catalogue)}


def contracts_page(catalogue: str, answers: list[tuple[str, str]]) -> str:
    """Exit codes, answers as JSON, events; `answers` are commands with what they said."""
    lines = ["# Exit codes, JSON, events", "", "Scripts may rely on what is here: it is added to, not changed.", ""]
    lines += ["## Exit codes", "", "| code | what |", "|---:|---|"]
    lines += [f"| {code} | {escaped(what)} |" for code, what in exit_codes()]
    lines += [
        "",
        "`status` has its own, for monitoring: 0 healthy, 1 degraded, 2 broken or stopped. What else a code means for one",
        "command stands at its end in [Commands](commands.md).",
        "",
        "## Answers as JSON",
        "",
        "Real answers, taken when this page was built, on a board with one played DS18B20 before a development shield.",
        "A value that is not there is null, never a stand-in number. New keys may come: ignore what you do not know.",
        "`status` is in [Status and monitoring](status.md), key by key.",
        "",
    ]
    for command, said in answers:
        lines += [f"### `{command}`", "", "```json", said.rstrip(), "```", ""]
    lines += ["## Events", "", "What `journalctl -x -u sensor-agent` explains; `MESSAGE_ID=` selects one.", ""]
    told = explanations(catalogue)
    for event, number in MESSAGE_IDS.items():
        _, text = told[number]
        lines += [f"### {event}", "", f"`MESSAGE_ID={number}`", "", *_paragraphs(text), ""]
    return "\n".join(lines) + "\n"


def _paragraphs(text: str) -> Iterator[str]:
    """The catalogue's lines; one that ends in a command or begins anew keeps its line."""
    for line in text.splitlines():
        yield f"{escaped(line)}  " if line else ""


def escaped(text: str | None) -> str:
    """Plain text for Markdown: code in back-quotes stays, nothing else is taken for markup."""
    parts = re.split(r"(`[^`]+`)", (text or "").replace("%%", "%"))
    return "".join(part if part.startswith("`") else re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", part) for part in parts)
