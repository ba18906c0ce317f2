"""Instants as a person says them: so long ago (`90m`, `24h`, `7d`), or a UTC date and time."""

import re
from datetime import UTC, datetime
from typing import Final

from agent.errors import UsageError
from agent.reading import LATEST_SECOND

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
AS: Final = "24h, 7d, 2026-11-23, 2026-11-23T09:14 or 2026-11-23T09:14:22Z"


def second(text: str, *, now: float, option: str) -> int:
    """The UTC second meant; `24h` is so long before `now`. Raises UsageError, which names the option."""
    if match := re.fullmatch(r"([0-9]{1,9})([smhdw])", text):
        return max(int(now) - int(match[1]) * UNITS[match[2]], 0)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option}: {text!r} is no time", hint=f"write it as {AS}") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    found = int(moment.timestamp())
    if not 0 <= found <= LATEST_SECOND:
        raise UsageError(f"{option}: {text!r} is outside 1970…9999", hint=f"write it as {AS}")
    return found
