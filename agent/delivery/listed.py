"""What a shield lists, after a lost answer: which entry is a reading that was sent."""

import json
from datetime import datetime
from typing import Any, Final

MARKS: Final = {"sensor", "device", "seq"}  # `uplink.extra_fields`: an entry with one that ours has not is another's


def listed(answer: bytes) -> list[Any]:
    """The entries in the answer to a GET; none if it is no list.

    The tutorial's Worker answers with the five most recent readings of the sender's address: `[…]`, or
    `{"temperatures": […]}` to an address that it has not seen.
    """
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):  # UnicodeDecodeError is the former too
        return []
    if isinstance(found, dict):
        found = found.get("temperatures")
    return found if isinstance(found, list) else []


def is_same(entry: Any, body: bytes) -> bool:
    """Whether an entry is what was sent as `body`, alike in each of its fields; a shield may have added others."""
    return _is_alike(entry, json.loads(body))


def take(entries: list[Any], body: bytes) -> bool:
    """Take out the first entry that is what was sent as `body`; gives whether there was one."""
    sent = json.loads(body)
    place = next((place for place, each in enumerate(entries) if _is_alike(each, sent)), None)
    if place is not None:
        del entries[place]
    return place is not None


def names_device(body: bytes) -> bool:
    """Whether a reading says whose it is (`extra_fields`)."""
    return "device" in json.loads(body)


def second(entry: Any) -> int | None:
    """The UTC second of an entry; None if it has none as the wire has it."""
    try:
        moment = datetime.fromisoformat(entry["time"])
        return int(moment.timestamp()) if moment.tzinfo else None
    except (TypeError, KeyError, ValueError, OverflowError):
        return None


def _is_alike(entry: Any, sent: dict[str, Any]) -> bool:
    return isinstance(entry, dict) and all(entry.get(name) == sent.get(name) for name in MARKS | sent.keys())
