"""`init`: a configuration from what is found on this board; one that is there already is never touched."""

import argparse
import json
import os
import shlex
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from agent.cli.probe import pasted
from agent.cli.render import write_json
from agent.config import load
from agent.config.files import elsewhere, merge, read
from agent.device import device_name
from agent.errors import CannotWrite, ConfigError
from agent.sensors.inventory import Note, Table, probe

PLACEHOLDER: Final = "https://shield.example.com/temps"
EXAMPLE: Final = "/usr/share/doc/sensor-agent/examples/config.example.toml"


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `init`."""
    command = commands.add_parser(
        "init",
        parents=[common],
        help="write a configuration from what hardware is here",
        description="Look for temperature hardware and write a configuration for it. A file that is there already is "
        "never overwritten.",
        epilog="Exit codes: 0 written, 73 it cannot be written, 78 there is one already, or a value is not valid.",
    )
    command.add_argument("--url", default="", help="where readings are posted, as https://shield.example.com/temps")
    command.add_argument("--name", default="", help="what this board is called (default: by its serial number)")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.set_defaults(handler=init)


def init(args: argparse.Namespace) -> int:
    """Write it; 0 then. Raises ConfigError if there is one already or a value is not valid, CannotWrite."""
    file: Path = args.config
    if os.path.lexists(file):
        raise ConfigError(f"{file} is there already, and is never overwritten", hint="sensor-agent check")
    tables, notes = probe(args.root)
    above = dropped_in(file)
    url_above = "url" in above.get("uplink", {})
    here, aside = sorted_out(tables)
    text = "\n".join(lines(args.url, args.name, here, aside, notes, url_above=url_above, board=_board_name(args.root)))
    problems: list[str] = []
    if read(merge(tomllib.loads(text), above), problems) is None:
        raise ConfigError(problems, hint="sensor-agent init --url https://HOST/PATH --name NAME")
    given = [f"--url={args.url}"] * bool(args.url) + [f"--name={args.name}"] * bool(args.name)
    _write(file, text, again=f"sudo sensor-agent {elsewhere(file)}{shlex.join(['init', *given])}")
    told = [Note(note.what, note.fix) for note in notes if note.hinders or not here]
    todo = "sensor-agent check" if args.url or url_above else f"put your shield's URL into {file} (uplink.url)"
    if args.json:
        write_json({
            "written": str(file),
            "sensors": here,
            "notes": [{"what": note.what, "fix": note.fix} for note in told],
            "next": todo,
        })  # fmt: skip
    else:
        _tell(file, here, told, todo)
    try:
        load(file)
    except ConfigError as error:  # a file that it names is missing on this system, or a drop-in has a mistake
        raise ConfigError(list(error.problems), hint=f"sudo apt install ca-certificates # or mend {file}") from error
    return 0


def dropped_in(file: Path) -> dict[str, Any]:
    """What the drop-ins beside the file say; those that cannot be read are told of when all of it is loaded."""
    above: dict[str, Any] = {}
    for each in sorted(file.parent.glob("conf.d/*.toml")):
        try:
            above = merge(above, tomllib.loads(each.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    return above


def sorted_out(tables: Iterable[Table]) -> tuple[list[Table], list[Table]]:
    """Sensors, and what merely is warm: the processor's own temperature is nobody's freezer."""
    tables = list(tables)
    here = [table for table in tables if table["driver"] != "kernel" or table["device"][:1].isdigit()]
    return here, [table for table in tables if table not in here]


def lines(
    url: str,
    name: str,
    here: list[Table],
    aside: list[Table],
    notes: Iterable[Note],
    *,
    url_above: bool,
    board: str,
) -> Iterator[str]:
    """The file, line by line; `board` is what the device is called while `name` is empty."""
    yield "# Written by sensor-agent init. Every key with its default: man sensor-agent.toml, or"
    yield f"# {EXAMPLE}"
    yield "# After a change: sensor-agent check, then systemctl reload sensor-agent"
    yield ""
    yield "[device]"
    yield f"name = {_quoted(name)}" if name else f"#name = {_quoted(board)}  # what it is called without this line"
    yield ""
    yield "[uplink]"
    if url or not url_above:
        yield "# where readings are posted" + ("" if url else ": put your shield's URL here")
        yield f"url = {_quoted(url or PLACEHOLDER)}"
    else:
        yield "# url is in a file of conf.d"
    yield ""
    yield "[enroll]"
    yield "# who signs this device's certificate: Cloudflare's API, which wants the zone's id, or another (see the example)"
    yield '#zone_id = ""'
    yield ""
    yield "# What was found. A name is yours to choose; it is what a reading is called."
    if not here:
        yield "# No sensor was found: wire one and say `sensor-agent probe`, which prints tables for here."
    for note in notes:
        yield f"# {note.what}"
        yield f"#   next: {note.fix}"
    yield from pasted(here)
    if aside:
        yield ""
        yield "# The board's own temperatures; take the # away to send one."
        yield from (f"#{line}" if line else "" for line in pasted(aside))
    yield ""


def _board_name(root: Path) -> str:
    try:
        return device_name("", root)
    except ConfigError:
        return "sensor-001"


def _quoted(text: str) -> str:
    """A TOML string: JSON's is one."""
    return json.dumps(text, ensure_ascii=False)


def _write(file: Path, text: str, *, again: str) -> None:
    """Make the file; one that appeared meanwhile is kept, and none is left that is not whole. `again` is the
    command of somebody who may. Everybody may read it, and so the service.
    """
    before = os.umask(0o022)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        made = file.open("x", encoding="utf-8")
        try:
            with made:
                made.write(text)
        except OSError:
            file.unlink()
            raise
    except PermissionError as error:
        raise CannotWrite(f"{file}: {error.strerror}", hint=again) from error
    except OSError as error:
        raise CannotWrite(
            f"{file}: {error.strerror or error}", hint=f"findmnt -T {file.parent}; df {file.parent}"
        ) from error
    finally:
        os.umask(before)


def _tell(file: Path, here: list[Table], notes: Iterable[Note], todo: str) -> None:
    names = ", ".join(table["name"] for table in here)
    sys.stdout.write(f"written: {file}, {len(here)} sensors{': ' + names if names else ''}\n")
    for note in notes:
        sys.stderr.write(f"  {note.what}\n    {note.fix}\n")
    sys.stderr.write(f"  next: {todo}\n")
