"""The tutorial's Worker as a pure function: the same answers to the same requests, its surprises included.

Truthiness is its validation, so the number 0 is refused; what does not parse is 500, not 400; every method but
POST lists, on any path. Left out is its leak: one list shared by all new addresses.
"""

from collections.abc import Sequence
from functools import cmp_to_key
from typing import Any, Final

from agent.devshield import javascript
from agent.devshield.reply import JSON, TEXT, Reply

LISTED: Final = 5
INCOMPLETE: Final = b"Unable to parse temperature and/or timestamp from JSON POST body"
EMPTY: Final = '{"temperatures":[]}'  # what it writes for an address that it has not seen


def post(body: bytes) -> tuple[Reply, Any]:
    """The answer to a POST, and the reading to store: a dict when the answer is 201, else None."""
    try:
        # U+FEFF stays: text() takes a byte-order mark away only from compatibility date 2026 on (October 2025 does not)
        value = javascript.parse(body.decode("utf-8", "replace"))
    except ValueError as error:
        return thrown(str(error)), None
    if value is None:
        return thrown("TypeError: Cannot read properties of null (reading 'temperature')"), None
    if not isinstance(value, dict):
        return Reply(400, TEXT, INCOMPLETE), None
    if javascript.truthy(value.get("temperature")) and javascript.truthy(value.get("time")):
        return Reply(201, TEXT), value
    return Reply(400, TEXT, INCOMPLETE), None


def thrown(error: str) -> Reply:
    """What the Worker's `catch` answers."""
    return Reply(500, TEXT, error.encode("utf-8", "surrogatepass"))


def listing(readings: Sequence[dict[str, Any]] | None) -> Reply:
    """The five most recent readings; None is an address that never posted, which gets an object, not a list."""
    if readings is None:
        return Reply(200, JSON, EMPTY.encode())
    recent = sorted(readings, key=cmp_to_key(_newest_first))[:LISTED]
    return Reply(200, JSON, javascript.stringify(recent).encode())


def _newest_first(one: dict[str, Any], other: dict[str, Any]) -> int:
    """A time that is no date compares as equal to every other, so a single one breaks the order around it."""
    difference = javascript.date(other.get("time")) - javascript.date(one.get("time"))
    return (difference > 0) - (difference < 0)
