"""`python -m agent.cli.manual DIR`: the manual pages, made of the parser and the example configuration.

Nothing is said here that `--help` or config.example.toml does not say, so a page can never be behind them.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from agent import __version__
from agent.cli import parser

FILES: Final = (
    ("/etc/sensor-agent/config.toml", "the configuration; see sensor-agent.toml(5)"),
    ("/etc/sensor-agent/conf.d/*.toml", "laid over it in name order"),
    ("/var/lib/sensor-agent/spool.db", "readings that are not delivered yet"),
    ("/var/lib/sensor-agent-identity/", "keys and certificates, root's alone"),
    ("/etc/ssl/certs/sensor.pem", "the certificate that is shown, a link or a file of your own"),
    ("/etc/ssl/private/sensor-key.pem", "its key"),
    ("/run/sensor-agent/status.json", "what the daemon said last"),
)
SETTING: Final = re.compile(r"#?([A-Za-z_]+) = (.*)")
SECTION: Final = re.compile(r"#?(\[+[a-z.]+\]+)")


def command_page(top: argparse.ArgumentParser, date: str) -> str:
    """sensor-agent(1) as roff."""
    lines = [
        _title("SENSOR-AGENT", 1, date),
        ".SH NAME",
        f"sensor-agent {ESCAPED_DASH} reads temperatures, spools and delivers them over mutual TLS",
        ".SH SYNOPSIS",
        ".B sensor-agent",
        _text("[--config FILE] COMMAND [ARGUMENT…]"),
        ".SH DESCRIPTION",
        _text(top.description),
        ".SH OPTIONS",
        *_options(top, but=()),
        ".SH COMMANDS",
    ]
    everywhere = [action.option_strings for action in top._actions]  # noqa: SLF001 - argparse tells nobody else
    for words, command in commands(top, "sensor-agent"):
        lines += [f".SS {_text(words)}", _text(command.description), *_options(command, but=everywhere)]
        if command.epilog and command.epilog != top.epilog:
            lines += [".PP", _text(command.epilog)]
    lines += [".SH EXIT STATUS", _text(top.epilog), ".SH FILES"]
    for path, about in FILES:
        lines += [".TP", f".I {_text(path)}", _text(about)]
    lines += [".SH SEE ALSO", ".BR sensor\\-agent.toml (5),", ".BR systemctl (1)"]
    return "\n".join(line for line in lines if line) + "\n"


def commands(of: argparse.ArgumentParser, words: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command below, with the words that call it, as `sensor-agent identity show`."""
    for action in of._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, command in action.choices.items():
                yield f"{words} {name}", command
                yield from commands(command, f"{words} {name}")


def configuration_page(example: str, date: str) -> str:
    """sensor-agent.toml(5) as roff: the example's talk, its sections and keys with their defaults."""
    lines = [
        _title("SENSOR-AGENT.TOML", 5, date),
        ".SH NAME",
        f"sensor-agent.toml {ESCAPED_DASH} configuration of sensor-agent",
        ".SH DESCRIPTION",
    ]
    talk: list[str] = []
    for line in example.splitlines():
        if line.startswith("# ") and not set(line) <= {"#", "-", " "}:
            talk.append(line[2:])
        elif section := SECTION.fullmatch(line):
            lines += [*_paragraph(talk), f".SH {_text(section[1])}"]
            talk = []
        elif setting := SETTING.fullmatch(line):
            lines += [".TP", f".BR {_text(setting[1])} {_quoted(f' = {setting[2]}')}", *_said(talk)]
            talk = []
        elif talk:
            lines += _paragraph(talk)
            talk = []
    lines += [".SH SEE ALSO", ".BR sensor\\-agent (1)"]
    return "\n".join(lines) + "\n"


ESCAPED_DASH: Final = "\\-"


def _title(name: str, section: int, date: str) -> str:
    return f'.TH {_text(name)} {section} "{date}" "sensor\\-agent {__version__}"'


def _options(of: argparse.ArgumentParser, *, but: Sequence[Sequence[str]]) -> list[str]:
    lines = []
    for action in of._actions:  # noqa: SLF001
        if action.option_strings and action.option_strings in but:
            continue
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            continue
        name = ", ".join(action.option_strings)
        if action.nargs != 0:
            shown = action.metavar or (action.choices and "|".join(map(str, action.choices))) or action.dest
            name = f"{name} {shown}".strip()
        lines += [".TP", f".B {_text(name)}", _text(action.help or "")]
    return lines


def _paragraph(talk: list[str]) -> list[str]:
    return [".PP", *_said(talk)] if talk else []


def _said(talk: list[str]) -> list[str]:
    """Lines of talk; those with columns of their own keep them."""
    said: list[str] = []
    for line in talk:
        if "   " in line.strip():
            said += [".br", _text(re.sub(r" {3,}", "  ", line)), ".br"]
        else:
            said.append(_text(line))
    return said


def _text(text: str | None) -> str:
    """Plain text for roff: nothing in it is taken for a request or an escape."""
    escaped = (text or "").replace("%%", "%").replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", escaped)


def _quoted(text: str) -> str:
    return '"' + _text(text).replace('"', '""') + '"'


def main(directory: Path, example: Path) -> None:
    """Write both pages; dated by SOURCE_DATE_EPOCH, so that a build gives the same bytes again."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    date = f"{datetime.fromtimestamp(int(epoch), UTC):%Y-%m-%d}" if epoch else ""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "sensor-agent.1").write_text(command_page(parser(), date), encoding="utf-8")
    (directory / "sensor-agent.toml.5").write_text(
        configuration_page(example.read_text(encoding="utf-8"), date), encoding="utf-8"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path("config.example.toml"))
