"""config.example.toml against the code, both ways: every key with its default, and no key that the code lacks.

Its lines `#key = value` and `#[[sensors]]` are settings that are switched off; talk begins with `# `.
"""

import dataclasses
import re
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from agent.config import Config, SensorConfig
from agent.config.files import read
from agent.config.sections import SECTIONS

EXAMPLE: Final = (Path(__file__).parent.parent / "config.example.toml").read_text(encoding="utf-8")
UNCOMMENTED: Final = re.sub(r"^#(?=\S)", "", EXAMPLE, flags=re.MULTILINE)


def parsed(text: str) -> Config:
    """The configuration that the text amounts to; files that it names need not be on this machine."""
    problems: list[str] = []
    config = read(tomllib.loads(text), problems)
    assert config is not None, problems
    return config


def keys_of(cls: type[Any], path: str) -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Every key of a section's dataclass and of the tables within it, with the path that the example writes it at."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from keys_of(hints[field.name], f"{path}.{field.name}")
        else:
            yield f"{path}.{field.name}", field


KEYS: Final = {path: field for name, cls in SECTIONS.items() for path, field in keys_of(cls, name)}
SENSOR_KEYS: Final = {field.name: field for field in dataclasses.fields(SensorConfig)}


def has_writable_default(field: "dataclasses.Field[Any]") -> bool:
    """Whether TOML can say the default: a required key has none, null is no TOML, and some stand for "the chip's own"."""
    if field.default is dataclasses.MISSING or field.default is None:
        return False
    return not any(broken(field.default) for broken in field.metadata["constraints"])


def written(path: str) -> Any:
    """What the example, all of it switched on, has at the dotted path."""
    table: Any = tomllib.loads(UNCOMMENTED)
    for name in path.split("."):
        table = table[name]
    return table


def in_toml(default: object) -> object:
    """A default as TOML gives it back."""
    return list(default) if isinstance(default, tuple) else default


def test_example_loads_as_it_is() -> None:
    assert [sensor.name for sensor in parsed(EXAMPLE).sensors] == ["freezer"]


def test_example_loads_with_everything_switched_on() -> None:
    drivers = [sensor.driver for sensor in parsed(UNCOMMENTED).sensors]

    assert drivers == ["ds18b20", "tmp102", "kernel", "simulated"]


def test_example_as_it_is_changes_no_default() -> None:
    config = parsed(EXAMPLE)
    bare = parsed(f'[uplink]\nurl = "{config.uplink.url}"')

    assert dataclasses.replace(config, sensors=()) == bare


@pytest.mark.parametrize("path", KEYS)
def test_example_shows_the_default_of_each_key(path: str) -> None:
    value = written(path)  # KeyError: the example lacks it

    if has_writable_default(KEYS[path]):
        assert (value, type(value)) == (in_toml(KEYS[path].default), type(in_toml(KEYS[path].default)))


@pytest.mark.parametrize("name", SENSOR_KEYS)
def test_example_shows_each_key_of_a_sensor(name: str) -> None:
    values = [table[name] for table in written("sensors") if name in table]

    assert values
    if has_writable_default(SENSOR_KEYS[name]):
        assert values == [SENSOR_KEYS[name].default]


@pytest.mark.parametrize("path", [path for path in KEYS if path.endswith("_seconds")])
def test_example_says_seconds_above_each_duration(path: str) -> None:
    name = path.rpartition(".")[2]
    (talk,) = re.findall(rf"((?:^# .*\n)+)#{name} = ", EXAMPLE, flags=re.MULTILINE)

    assert "seconds" in talk.lower()
