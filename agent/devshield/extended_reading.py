"""A reading as the extended API takes it, and what is wrong with one: the temperature's 0 is a temperature there."""

import calendar
import json
import math
import re
from typing import Any, Final, NoReturn

from agent.devshield import javascript
from agent.devshield.request_json import is_deep

COLDEST: Final = -273.15
HOTTEST: Final = 10_000.0  # °C; beyond any sensor
NAME_LETTERS: Final = 200  # of a sensor's name, and of a key
READING_LETTERS: Final = 4096  # of its JSON
FIRST: Final = 946_684_800.0  # the year 2000: before it a clock was never set
AHEAD_SECONDS: Final = 86_400.0  # local time sent as UTC is up to 14 h off
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INSTANT: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def parse(body: bytes) -> Any:
    """The JSON value of a body; raises ValueError, with a reason for a person, if it is none."""
    try:
        return json.loads(body.decode(), parse_int=float, parse_constant=_no_constant)  # as JavaScript
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (at byte {error.start})") from error
    except RecursionError as error:
        raise ValueError("not JSON: nested too deep") from error
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error


def complaint(value: Any, *, now: float) -> str:
    """What keeps a value from being a reading, '' if nothing does; begins with the field. `now` is in UNIX seconds."""
    if not isinstance(value, dict):
        return "reading: must be an object"
    if is_deep(value):
        return "reading: nested too deep"
    sensor = value.get("sensor")
    if not (sensor is None or (isinstance(sensor, str) and len(sensor) <= NAME_LETTERS)):
        return f"sensor: must be a text of at most {NAME_LETTERS} letters"
    wrong = _about_temperature(value.get("temperature")) or _about_time(value.get("time"), now)
    if not wrong and len(javascript.stringify(value)) > READING_LETTERS:
        return f"reading: more than {READING_LETTERS} characters of JSON"
    return wrong


def about_key(key: Any) -> str:
    """What is wrong with an item's key, '' if nothing is."""
    if isinstance(key, str) and 0 < len(key) <= NAME_LETTERS:
        return ""
    return f"key: must be a text of 1 to {NAME_LETTERS} letters"


def seconds_of(text: Any) -> float | None:
    """The instant (UNIX seconds) of an ISO 8601 time with seconds and a zone; None if it is none."""
    found = _INSTANT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    year, month, day = (int(part) for part in found.groups()[:3])
    if not (year and 1 <= month <= 12 and day <= calendar.monthrange(year, month)[1]):
        return None
    millis = javascript.date(text)
    return None if math.isnan(millis) else millis / 1000


def _about_temperature(value: Any) -> str:
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "temperature: must be a number, or one as a text"
    if not COLDEST <= value <= HOTTEST:
        return f"temperature: must be within {COLDEST:g} and {HOTTEST:g} °C"
    return ""


def _about_time(value: Any, now: float) -> str:
    seconds = seconds_of(value)
    if seconds is None:
        return "time: must be an instant with its zone, as 2026-11-23T09:14:22Z"
    if seconds < FIRST:
        return "time: is of a clock that was never set"
    if seconds > now + AHEAD_SECONDS:
        return "time: is more than a day ahead of here"
    return ""


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
