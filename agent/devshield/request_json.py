"""The JSON value of a request's body, such that what is read can also be written: no NaN, no infinity, not too deep."""

import json
import math
from typing import Any, Final, NoReturn

LEVELS: Final = 100  # Python's own limit is near 1,000 for reading and lower for writing


def read(body: bytes) -> Any:
    """The value; raises ValueError, with a reason for a person, for what is none."""
    try:
        value = json.loads(body, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if is_deep(value):
        raise ValueError("nested too deep")
    return value


def is_deep(value: Any, levels: int = LEVELS) -> bool:
    """Whether lists and objects lie in one another in more than so many levels."""
    layer = [value]
    for _ in range(levels + 1):
        inner: list[Any] = []
        for each in layer:
            if isinstance(each, dict):
                inner.extend(each.values())
            elif isinstance(each, list):
                inner.extend(each)
        if not inner:
            return False
        layer = inner
    return any(isinstance(each, dict | list) for each in layer)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
