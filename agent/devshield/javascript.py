"""JSON and dates as V8 reads them, down to its error texts, for what a Worker answers depends on them.

Values are Python's, but every number is a float: `0.0` is JavaScript's 0, and the dialect is JSON.parse's
(ECMA-262 §25.5): no NaN, no byte-order mark, no trailing comma.
"""

import json
import math
import re
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final

from agent.devshield.json_complaint import complaint

_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")  # property names that JavaScript puts first, in numeric order
_DATE: Final = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?(Z|z|[-+][0-9]{2}:?[0-9]{2})?)?"
)


def parse(text: str) -> Any:
    """What JSON.parse makes of the text.

    Raises ValueError with the text of the exception that JavaScript throws, as `SyntaxError: …`.
    """
    try:
        try:
            return json.loads(text, parse_int=float, parse_constant=_refuse)
        except json.JSONDecodeError as error:
            raise ValueError(complaint(text)) from error
    except RecursionError as error:
        raise ValueError("RangeError: Maximum call stack size exceeded") from error


def _refuse(constant: str) -> float:
    raise json.JSONDecodeError("no JSON", constant, 0)


def stringify(value: Any) -> str:
    """What JSON.stringify makes of a value of `parse`."""
    if isinstance(value, dict):
        names = list(value)
        indices = sorted((name for name in names if _INDEX.fullmatch(name)), key=int)
        ordered = indices + [name for name in names if not _INDEX.fullmatch(name)]
        return "{" + ",".join(f"{stringify(name)}:{stringify(value[name])}" for name in ordered) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(stringify, value)) + "]"
    if isinstance(value, float):
        return number(value) if math.isfinite(value) else "null"
    text = json.dumps(value, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def number(value: float) -> str:
    """The number as JavaScript writes it: digits up to 1e21, no `.0`, one-digit exponents without a zero."""
    if value.is_integer() and abs(value) < 1e21:
        return str(_shortest(value))
    digits = repr(value)
    if "e" not in digits:
        return digits
    mantissa, exponent = digits.split("e")
    if -7 < int(exponent) < 0:
        sign, figures = ("-", mantissa[1:]) if mantissa[0] == "-" else ("", mantissa)
        return f"{sign}0.{'0' * (-int(exponent) - 1)}{figures.replace('.', '')}"
    return f"{mantissa}e{int(exponent):+d}"


def _shortest(value: float) -> int:
    """The integer of the fewest digits that reads back as the value, zeros after: 2**63 is 9223372036854776000."""
    mantissa, _, exponent = repr(value).partition("e")
    whole, _, fraction = mantissa.partition(".")
    if not exponent:
        return int(whole)
    return int(whole + fraction + "0" * (int(exponent) - len(fraction)))


def truthy(value: Any) -> bool:
    """Whether `value` counts as true: empty lists and objects do, zero and the empty string do not."""
    return isinstance(value, dict | list) or bool(value)


def date(value: Any) -> float:
    """Date.parse in a runtime whose zone is UTC: milliseconds since 1970, NaN for what is no date.

    Known are ISO 8601 in the forms of ECMA-262 §21.4.1.32, the same with a space, and RFC 2822; V8 guesses at
    more, as `2026-1-2`.
    """
    text = number(value) if isinstance(value, float) else value
    if not isinstance(text, str):
        return math.nan
    found = _DATE.fullmatch(text)
    if found is None:
        try:
            return parsedate_to_datetime(text).timestamp() * 1000
        except (ValueError, TypeError, OverflowError, IndexError):
            return math.nan
    year, month, day, hour, minute, second = (
        int(part or first) for part, first in zip(found.groups()[:6], (1, 1, 1, 0, 0, 0), strict=True)
    )
    milli = int(((found[7] or "") + "000")[:3])
    midnight = hour == 24 and minute == second == milli == 0
    if not (year and 1 <= month <= 12 and 1 <= day <= 31 and (hour < 24 or midnight) and minute < 60 and second < 60):
        return math.nan
    try:
        # JavaScript lets 30 February run over into March
        start = datetime(year, month, 1, tzinfo=timezone(_offset(found[8])))
        whole = start + timedelta(days=day - 1, hours=hour, minutes=minute, seconds=second)
    except (ValueError, OverflowError):  # an offset of a day or more, a day after 9999
        return math.nan
    return whole.timestamp() * 1000 + milli


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone in "Zz":
        return timedelta()
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return -offset if zone[0] == "-" else offset
