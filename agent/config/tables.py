"""A TOML table into a record: types, constraints, unknown keys; every problem collected with its path."""

import re
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from agent import record
from agent.record import REQUIRED, field

Constraint = Callable[[Any], str | None]
"""Given a value of the right type, what is wrong with it ("must be …"), or None."""

T = TypeVar("T")

TYPE_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


def key(default: Any, *constraints: Constraint) -> Any:
    """A field with its default (REQUIRED: the key must be given) and the constraints that its value must meet."""
    return field(default=default, metadata={"constraints": constraints})


def read_table(cls: type[T], table: Any, path: str, problems: list[str]) -> T | None:
    """The dataclass made from the table, or None if `problems` grew.

    `path` is where the table stands (`uplink`, `sensors[1]`); nested dataclasses are nested tables.
    """
    if not isinstance(table, Mapping):
        problems.append(f"{path}: must be a table (got {told(table)})")
        return None
    before = len(problems)
    hints = typing.get_type_hints(cls)
    fields = {each.name: each for each in record.fields(cls)}
    report_unknown(table, fields, path, problems)
    values: dict[str, Any] = {}
    for name, each in fields.items():
        where = f"{path}.{name}" if path else name
        if name not in table:
            if each.default is REQUIRED and each.default_factory is REQUIRED:
                problems.append(f"{where}: is required")
            continue
        hint, value = hints[name], table[name]
        if record.is_dataclass(hint):
            values[name] = read_table(typing.cast("type[Any]", hint), value, where, problems)
            continue
        typed, wrong = _typed(hint, value)
        if wrong is None:
            wrong = next(filter(None, (broken(typed) for broken in each.metadata.get("constraints", ()))), None)
        if wrong is not None:
            problems.append(f"{where}: {wrong} (got {told(value)})")
        values[name] = typed
    return cls(**values) if len(problems) == before else None


def told(value: Any) -> str:
    """The value as it may be told: no table's, nor what stands before an @, which may be a URL's user and password."""
    if isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(each, Mapping) for each in value)):
        return "a table" if isinstance(value, Mapping) else "a list of tables"
    return re.sub(r"""(['"](?:[a-z]+://)?).*@""", r"\1…@", repr(value))


def report_unknown(table: Mapping[str, Any], known: Collection[str], path: str, problems: list[str]) -> None:
    """Add a problem for each key of the table that is not known, with the nearest one that is."""
    for name in table:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, n=1)
            where = f"{path}.{name}" if path else name
            problems.append(f"{where}: unknown key" + (f", did you mean {near[0]!r}?" if near else ""))


def _typed(hint: Any, value: Any) -> tuple[Any, str | None]:
    """The value as the hint wants it (a whole number is a float too, a list is a tuple), and what is wrong."""
    if isinstance(hint, types.UnionType):  # X | None: TOML has no null, so only X can be written
        hint = next(arm for arm in typing.get_args(hint) if arm is not type(None))
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        items = [_typed(item, each) for each in value] if isinstance(value, list) else [(value, "no list")]
        if any(wrong for _, wrong in items):
            return value, f"must be {_type_name(hint)}"
        return tuple(typed for typed, _ in items), None
    if not _is(hint, value):
        return value, f"must be {TYPE_NAMES[hint]}"
    return (float(value) if hint is float else value), None


def _type_name(hint: Any) -> str:
    """As TYPE_NAMES has it, lists by what is in them."""
    if typing.get_origin(hint) is tuple:
        return f"a list, each {_type_name(typing.get_args(hint)[0])}"
    return TYPE_NAMES[hint]


def _is(kind: type, value: Any) -> bool:
    if isinstance(value, bool):  # bool is an int to Python, not to a reader of TOML
        return kind is bool
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:  # TOML's integers; Python reads longer ones
        return False
    return isinstance(value, (int, float) if kind is float else kind)


def between(low: float, high: float) -> Constraint:
    """Passes numbers of the closed range; NaN and the infinities fail."""
    return lambda value: None if low <= value <= high else f"must be between {low:g} and {high:g}"


def one_of(*allowed: str) -> Constraint:
    """Passes the listed words."""
    return lambda value: None if value in allowed else "must be " + " or ".join(f'"{word}"' for word in allowed)


def each(one: Constraint) -> Constraint:
    """Passes a list whose every item passes `one`, and in which none stands twice."""

    def passes(values: tuple[Any, ...]) -> str | None:
        if len(set(values)) != len(values):
            return "must not name anything twice"
        return next(filter(None, map(one, values)), None)

    return passes


def matches(pattern: str, description: str) -> Constraint:
    """Passes strings that match the whole pattern; `description` ends the sentence "must be …"."""
    compiled = re.compile(pattern)
    return lambda value: None if compiled.fullmatch(value) else f"must be {description}"
