"""A reading as the extended API takes it, and what is wrong with one: the temperature's 0 is a temperature there."""

import json
import re
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

COLDEST: Final = -273.15
HOTTEST: Final = 10_000.0  # °C; beyond any sensor
NAME_LETTERS: Final = 200  # of a sensor's name, and of a key
_DECIMAL: Final = re.compile(r"-?[0-9]{1,6}(\.[0-9]{1,20})?")  # str() of a float has up to 17 digits


def parse(body: bytes) -> Any:
    """The JSON value of a body; raises ValueError, with a reason for a person, if it is none."""
    try:
        return json.loads(body.decode(), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (at byte {error.start})") from error
    except RecursionError as error:
        raise ValueError("not JSON: nested too deep") from error
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error


def complaint(value: Any) -> str:
    """What keeps a value from being a reading, '' if nothing does; begins with the field."""
    if not isinstance(value, dict):
        return "reading: must be an object"
    sensor = value.get("sensor")
    if not (sensor is None or (isinstance(sensor, str) and len(sensor) <= NAME_LETTERS)):
        return f"sensor: must be a text of at most {NAME_LETTERS} letters"
    return _about_temperature(value.get("temperature")) or _about_time(value.get("time"))


def about_key(key: Any) -> str:
    """What is wrong with an item's key, '' if nothing is."""
    if isinstance(key, str) and 0 < len(key) <= NAME_LETTERS:
        return ""
    return f"key: must be a text of 1 to {NAME_LETTERS} letters"


def seconds_of(text: Any) -> float | None:
    """The instant (UNIX seconds) of a time with its zone (RFC 3339); None if it is none."""
    if not isinstance(text, str) or len(text) > 40 or "T" not in text.upper():
        return None
    try:
        when = datetime.fromisoformat(text)
        return None if when.tzinfo is None else when.astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def _about_temperature(value: Any) -> str:
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "temperature: must be a number, or one as a text"
    if not COLDEST <= value <= HOTTEST:
        return f"temperature: must be within {COLDEST:g} and {HOTTEST:g} °C"
    return ""


def _about_time(value: Any) -> str:
    if seconds_of(value) is None:
        return "time: must be an instant with its zone, as 2026-11-23T09:14:22Z"
    return ""


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
