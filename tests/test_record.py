"""A record is what the standard `dataclass` would be: asked of both, for the same body."""

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from agent import record

T = TypeVar("T")


class Everything:
    """A field of each kind, and what is none."""

    kinds: ClassVar[int] = 3
    given: int
    kept: str = "usual"
    made: list[int] = record.field(default_factory=list)

    @property
    def twice(self) -> int:
        """A method, which stays."""
        return 2 * self.given


class Checked:
    """Refuses what is below zero."""

    milli: int

    def __post_init__(self) -> None:
        if self.milli < 0:
            raise ValueError("below zero")


Ours: Any = record.dataclass(frozen=True, slots=True)(type("Everything", (), dict(vars(Everything))))
Kept: Any = record.dataclass(frozen=True, slots=True)(type("Checked", (), dict(vars(Checked))))
Everything.made = dataclasses.field(default_factory=list)
Theirs: Any = dataclasses.dataclass(frozen=True, slots=True)(type("Everything", (), dict(vars(Everything))))


@record.dataclass(frozen=True, slots=True)
class Pair(Generic[T]):
    """Of this module by its own name, as pickle wants it."""

    left: T
    right: T


@record.dataclass(slots=True)
class Box:
    """May be changed."""

    content: int = 0


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda cls: repr(cls(1, made=[2])), id="repr"),
        pytest.param(lambda cls: cls(1) == cls(given=1, kept="usual", made=[]), id="equal"),
        pytest.param(lambda cls: cls(1) == cls(2), id="not equal"),
        pytest.param(lambda cls: cls(1) == (1, "usual", []), id="a tuple is another thing"),
        pytest.param(lambda cls: cls(1).made is cls(1).made, id="each has its own list"),
        pytest.param(lambda cls: hash(cls(1, made=())) == hash(cls(1, made=())), id="hash"),
        pytest.param(lambda cls: (cls.kinds, cls(4).kinds, cls(4).twice), id="class variables and methods"),
        pytest.param(lambda cls: (cls.__match_args__, cls.__slots__, hasattr(cls(1), "__dict__")), id="slots"),
        pytest.param(lambda cls: dataclasses.asdict(cls(1)), id="asdict"),
        pytest.param(lambda cls: dataclasses.astuple(cls(1)), id="astuple"),
        pytest.param(lambda cls: dataclasses.replace(cls(1), kept="new").kept, id="replace"),
        pytest.param(lambda cls: [(f.name, f.type) for f in dataclasses.fields(cls)], id="fields"),
        pytest.param(lambda cls: copy.deepcopy(cls(1, made=[[2]])).made, id="deep copy"),
    ],
)
def test_answers_as_a_dataclass(ask: Callable[[Any], object]) -> None:
    assert ask(Ours) == ask(Theirs)


@pytest.mark.parametrize(
    ("do", "error"),
    [
        pytest.param(lambda cls: cls(), TypeError, id="a field is missing"),
        pytest.param(lambda cls: cls(1, wrong=2), TypeError, id="no such field"),
        pytest.param(lambda cls: cls(1, "b", [], 4), TypeError, id="too many"),
        pytest.param(lambda cls: setattr(cls(1), "given", 2), dataclasses.FrozenInstanceError, id="frozen"),
        pytest.param(lambda cls: delattr(cls(1), "given"), dataclasses.FrozenInstanceError, id="not to be deleted"),
        pytest.param(lambda cls: hash(cls(1)), TypeError, id="a list has no hash"),
    ],
)
def test_refuses_as_a_dataclass(do: Callable[[Any], object], error: type[Exception]) -> None:
    for cls in (Ours, Theirs):
        with pytest.raises(error):
            do(cls)


def test_a_record_checks_itself() -> None:
    assert Kept(3).milli == 3
    with pytest.raises(ValueError, match="below zero"):
        Kept(-1)


def test_replaced_and_told_by_its_own_functions() -> None:
    changed = record.replace(Pair(1, 2), right=3)
    assert changed == Pair(1, 3)
    assert record.astuple(changed) == (1, 3)
    assert [each.name for each in record.fields(Pair)] == ["left", "right"]
    assert record.is_dataclass(Pair)
    assert not record.is_dataclass(int)
    assert pickle.loads(pickle.dumps(changed)) == changed


def test_one_that_is_not_frozen_can_be_changed_and_has_no_hash() -> None:
    box = Box()
    box.content = 5
    assert box == Box(5)
    with pytest.raises(TypeError):
        hash(box)
