"""What the standard library's `dataclass` gives a frozen record with slots, at a tenth of its cost at the start.

That one has six functions compiled for each class when it is defined, and imports `inspect` for it: of the daemon's CPU
to the first sample, 58 classes were half. Here a class has its `__init__` compiled when it is first made, and shares the
rest. Type checkers are told that it is the standard one, and functions of `dataclasses` take these records too.
"""

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, get_origin

__all__ = ["REQUIRED", "astuple", "dataclass", "field", "fields", "is_dataclass", "replace"]

REQUIRED: Final = object()
"""The default of a field that has none."""
_FIELDS: Final = "__record_fields__"


class Field:
    """A field of a record: its default, or what makes one."""

    __slots__ = ("default", "default_factory", "metadata", "name")

    def __init__(self, default: Any, default_factory: Any, metadata: Mapping[str, Any]) -> None:
        self.name = ""
        self.default, self.default_factory, self.metadata = default, default_factory, metadata


class _AsStandard:
    """`__dataclass_fields__`, for `dataclasses.asdict` and whoever else asks: made when asked for."""

    def __get__(self, _: object, cls: type[Any]) -> Any:
        import dataclasses

        body: dict[str, Any] = {"__annotations__": cls.__annotations__}
        for each in getattr(cls, _FIELDS):
            if each.default_factory is not REQUIRED:
                body[each.name] = dataclasses.field(default_factory=each.default_factory, metadata=each.metadata)
            elif each.default is not REQUIRED or each.metadata:
                default = dataclasses.MISSING if each.default is REQUIRED else each.default
                body[each.name] = dataclasses.field(default=default, metadata=each.metadata)
        return vars(dataclasses.dataclass(type(cls.__name__, (), body)))["__dataclass_fields__"]


def _record(*, slots: Literal[True], frozen: bool = False) -> Callable[[type], type]:  # noqa: ARG001
    """As `dataclasses.dataclass` for a class without bases of its kind; slots are the only way it knows."""
    return lambda cls: _made(cls, frozen=frozen)


def _made(cls: type, *, frozen: bool) -> type:
    body = dict(vars(cls))
    made_of = tuple(_fields(cls.__annotations__, body))
    names = tuple(each.name for each in made_of)
    values = _values(names)

    def __eq__(self: Any, other: object) -> Any:  # noqa: N807
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(values(self))

    def __repr__(self: Any) -> str:  # noqa: N807
        shown = zip(names, values(self), strict=True)
        return f"{type(self).__qualname__}({', '.join(f'{name}={value!r}' for name, value in shown)})"

    def __reduce__(self: Any) -> tuple[Any, ...]:  # noqa: N807
        return type(self), values(self)

    def __init__(self: Any, /, *args: Any, **named: Any) -> None:  # noqa: N807
        new.__init__ = _initialiser(new, made_of)  # type: ignore[misc]
        new.__init__(self, *args, **named)  # type: ignore[misc]

    for method in (__eq__, __repr__, __reduce__, __init__):
        body.setdefault(method.__name__, method)
    body["__hash__"] = __hash__ if frozen else None
    if frozen:
        body |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_set}
    body |= {"__slots__": names, "__match_args__": names, _FIELDS: made_of, "__dataclass_fields__": _AsStandard()}
    body.pop("__dict__", None)
    body.pop("__weakref__", None)
    new: type = type(cls)(cls.__name__, cls.__bases__, body)
    new.__qualname__ = cls.__qualname__
    return new


def _fields(annotations: Mapping[str, Any], body: dict[str, Any]) -> Iterator[Field]:
    """The fields with their defaults, which leave the body: a slot is not to have a value in the class."""
    for name, annotation in annotations.items():
        if get_origin(annotation) is ClassVar:
            continue
        value = body.pop(name, REQUIRED)
        each = value if isinstance(value, Field) else Field(value, REQUIRED, MappingProxyType({}))
        each.name = name
        yield each


def _values(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple(getattr(self, name) for name in names)


def _initialiser(cls: type[Any], made_of: tuple[Field, ...]) -> Any:
    """Compiled, for it is called for each reading; set by the slots themselves, which no `__setattr__` keeps away."""
    known: dict[str, Any] = {"_required": REQUIRED}
    parameters, lines = [], []
    for each in made_of:
        name = each.name
        known[f"_set_{name}"] = vars(cls)[name].__set__
        value = name
        if each.default_factory is not REQUIRED:
            known[f"_make_{name}"] = each.default_factory
            parameters.append(f"{name}=_required")
            value = f"_make_{name}() if {name} is _required else {name}"
        elif each.default is not REQUIRED:
            known[f"_default_{name}"] = each.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        lines.append(f" _set_{name}(self, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    source = f"def __init__({', '.join(['self', *parameters])}):\n" + "\n".join(lines or [" pass"])
    exec(source, known)  # noqa: S102 - names of our own fields
    known["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    return known["__init__"]


def _refuse_to_set(self: Any, name: str, *_: object) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to or delete {name!r} of a {type(self).__qualname__}")


def _field(
    *, default: Any = REQUIRED, default_factory: Any = REQUIRED, metadata: Mapping[str, Any] = MappingProxyType({})
) -> Any:
    """As `dataclasses.field`."""
    return Field(default, default_factory, metadata)


def _replace(record: Any, /, **changes: Any) -> Any:
    """As `dataclasses.replace`."""
    for each in getattr(record, _FIELDS):
        if each.name not in changes:
            changes[each.name] = getattr(record, each.name)
    return type(record)(**changes)


def _astuple(record: Any) -> tuple[Any, ...]:
    """The record's values; as `dataclasses.astuple` where none of them is a record."""
    return tuple(getattr(record, each.name) for each in getattr(record, _FIELDS))


def fields(cls: type[Any]) -> tuple[Field, ...]:
    """The fields of a record's class, in their order."""
    made_of: tuple[Field, ...] = getattr(cls, _FIELDS)
    return made_of


def is_dataclass(cls: object) -> bool:
    """Whether it is a record's class."""
    return hasattr(cls, _FIELDS)


if TYPE_CHECKING:
    from dataclasses import astuple, dataclass, field, replace
else:
    dataclass, field, replace, astuple = _record, _field, _replace, _astuple
