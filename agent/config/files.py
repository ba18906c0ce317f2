"""TOML files in, one Config out, and every mistake reported in one pass with its path."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from agent.config.sections import CA_FILE, SECTIONS, Config
from agent.config.sensors import read_sensors
from agent.config.tables import read_table, report_unknown
from agent.errors import ConfigError

DEFAULT: Final = Path("/etc/sensor-agent/config.toml")


def load(path: Path, *, issuing: bool = False) -> Config:
    """The configuration of `path` and of the drop-ins in `conf.d/*.toml` beside it, in name order.

    `issuing`: for a command that asks the issuer; `enroll.ca_file` is nothing to the others, and may be root's alone.
    Raises ConfigError with every problem found: unreadable files, TOML, types, ranges, unknown keys, duplicates.
    """
    problems: list[str] = []
    merged: dict[str, Any] = {}
    layers: list[tuple[Path, dict[str, Any]]] = []
    files, denied = [path], False
    directory = path.parent / "conf.d"
    try:
        files += drop_ins(directory)
    except FileNotFoundError:
        pass
    except OSError as error:  # its keys would be missing in silence
        problems.append(f"{directory}: cannot be read ({error.strerror})")
    for file in files:
        try:
            table = parsed(file)
        except OSError as error:
            denied = denied or isinstance(error, PermissionError)
            problems.append(f"{file}: cannot be read ({error.strerror})")
        except ConfigError as error:
            problems += error.problems
        else:
            merged = merge(merged, table)
            layers.append((file, table))
    if problems:
        hint = f"mend {path}, then: sensor-agent check --offline --config {path}"
        if denied:
            hint = f"the same with sudo; or who may read it: ls -ld {path.parent} {path}"
        elif missing(path):
            hint = f"sudo sensor-agent {elsewhere(path)}init --url URL"
        raise ConfigError(problems, hint=hint)
    config = read(merged, problems)
    _check_files(merged, problems, {"uplink": CA_FILE} | ({"enroll": ""} if issuing else {}))
    if config is None or problems:
        files = [_origin(problem, merged, layers) for problem in problems]
        raise ConfigError(
            [f"{file}: {problem}" for file, problem in zip(files, problems, strict=True)],
            hint=f"mend {files[0]}, then: sensor-agent check --offline --config {path}",
        )
    return config


def drop_ins(directory: Path) -> list[Path]:
    """In name order, without what is hidden (`.#20-site.toml` is Emacs's lock). Raises OSError."""
    return [file for file in sorted(directory.iterdir()) if file.suffix == ".toml" and not file.name.startswith(".")]


def parsed(file: Path) -> dict[str, Any]:
    """The TOML document of a file. Raises OSError if it cannot be read, ConfigError if it is none."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))  # an editor of Windows begins it with a mark
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (byte {error.start})"
    except ValueError as error:  # TOMLDecodeError, or a number of more digits than Python reads
        problem = f"is not TOML: {error}"
    except RecursionError:
        problem = "is nested too deep"
    raise ConfigError(f"{file}: {problem}", hint=f"mend {file}")


def _origin(problem: str, merged: Mapping[str, Any], layers: Sequence[tuple[Path, Mapping[str, Any]]]) -> Path:
    """The file that a problem's key was last written in; for a key that is in none, the first one that has its table."""
    first, *rest = problem.partition(": ")[0].split(".")
    found = re.fullmatch(r"sensors\[([0-9]+)\]", first)
    nearest: dict[int, Path] = {}
    for file, table in layers:
        inner: Any = {"": table}
        path = ["", first, *rest]
        if found:
            inner, path, ours = None, ["", *rest], merged["sensors"][int(found[1])]
            written = table.get("sensors")
            for each in written if isinstance(written, list) else ():
                if each is ours or (_name(each) is not None and _name(each) == _name(ours)):
                    inner = {"": each}
        for depth, part in enumerate(path):
            inner = inner.get(part) if isinstance(inner, dict) else None
            if inner is not None and (depth == len(path) - 1 or depth not in nearest):
                nearest[depth] = file
    return nearest[max(nearest)]


def elsewhere(path: Path) -> str:
    """What a command says to find the configuration, with a blank behind it; nothing where it looks by itself."""
    return "" if path == DEFAULT else f"--config {path} "


def missing(path: Path) -> bool:
    """Whether it is known not to be there: a directory that this user may not look into tells nothing."""
    try:
        return not path.exists()
    except PermissionError:
        return False


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with the single keys of `above` laid over it; `[[sensors]]` tables of one name become one."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[name] = merge(old, value)
        elif name == "sensors" and isinstance(old, list) and isinstance(value, list):
            merged[name] = _merge_sensors(old, value)
        else:
            merged[name] = value
    return merged


def _merge_sensors(below: list[Any], above: list[Any]) -> list[Any]:
    merged = list(below)
    places = {name: place for place, table in enumerate(below) if (name := _name(table)) is not None}
    for table in above:
        place = places.get(_name(table) or "")
        if place is None:
            merged.append(table)
        else:
            merged[place] = merged[place] | table
    return merged


def _name(table: Any) -> str | None:
    """The name in a `[[sensors]]` table; None if there is none, or it is no name."""
    name = table.get("name") if isinstance(table, dict) else None
    return name if isinstance(name, str) and name else None


def read(table: Mapping[str, Any], problems: list[str]) -> Config | None:
    """The configuration of a parsed TOML document; None if `problems` grew."""
    before = len(problems)
    report_unknown(table, (*SECTIONS, "sensors"), "", problems)
    sections = {name: read_table(cls, table.get(name, {}), name, problems) for name, cls in SECTIONS.items()}
    sensors = read_sensors(table.get("sensors", []), problems)
    return Config(sensors=sensors, **sections) if len(problems) == before else None  # type: ignore[arg-type]


def _check_files(table: Mapping[str, Any], problems: list[str], defaults: Mapping[str, str]) -> None:
    """Without these no line can ever come up, so they are mistakes of the configuration, not of the weather."""
    for name, default in defaults.items():
        section = table.get(name)
        file = section.get("ca_file", default) if isinstance(section, Mapping) else default
        if not isinstance(file, str) or not file.startswith("/") or "\0" in file:  # told as such already
            continue
        where = f"{name}.ca_file"
        try:
            text = Path(file).read_bytes()
        except OSError as error:
            problems.append(f"{where}: cannot be read, {error.strerror} (got {file!r})")
            continue
        if b"-----BEGIN CERTIFICATE-----" not in text:
            problems.append(f"{where}: holds no PEM certificate (got {file!r})")
