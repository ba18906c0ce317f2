"""`probe`: what temperature hardware is here, what stands in its way, and tables to paste into the configuration."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.cli.render import write_json
from agent.config import SensorConfig, load
from agent.config.files import missing
from agent.errors import ConfigError
from agent.sensors.inventory import Note, Table, absent, configured_as, probe


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `probe`."""
    command = commands.add_parser(
        "probe",
        parents=[common],
        help="what hardware is here, as tables to paste",
        description="Look for temperature hardware. Only the kernel's files are read, no I2C address is written to. "
        "The answer is valid TOML: sensor-agent probe | sudo tee -a /etc/sensor-agent/config.toml",
    )
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.set_defaults(handler=look)


def look(args: argparse.Namespace) -> int:
    """Exit code 0, whatever is found: what is wrong stands in the notes."""
    configs, notes = _configured(args.config)
    tables, seen = probe(args.root)
    notes += [*absent(args.root, configs), *seen]
    if args.json:
        write_json({"sensors": tables, "notes": [{"what": note.what, "fix": note.fix} for note in notes]})
    else:
        sys.stdout.writelines(line + "\n" for line in _toml(tables, configs, notes))
    return 0


def _configured(file: Path) -> tuple[tuple[SensorConfig, ...], list[Note]]:
    """The sensors that are configured; none while there is no configuration yet."""
    if missing(file):
        return (), []
    try:
        return load(file).sensors, []
    except ConfigError as error:
        return (), [Note(f"the configuration has a mistake: {error.problems[0]}", "sensor-agent check --offline")]


def _toml(tables: Iterable[Table], configs: tuple[SensorConfig, ...], notes: Iterable[Note]) -> Iterator[str]:
    """Notes as comments, and a table for each thing that is not configured yet."""
    for note in notes:
        yield f"# {note.what}"
        yield f"#   next: {note.fix}"
    for table in tables:
        name = configured_as(table, configs)
        if name is not None:
            yield f"# {table.get('id') or table.get('device')} is configured as {name!r}"
            continue
        yield from pasted([table])


def pasted(tables: Iterable[Table]) -> Iterator[str]:
    """Each as a `[[sensors]]` table, a blank line before it."""
    for table in tables:
        yield ""
        yield "[[sensors]]"
        # JSON's strings and whole numbers are TOML's, as long as nothing beyond them is in a table
        yield from (f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items())
