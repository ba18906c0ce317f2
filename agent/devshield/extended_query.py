"""What a GET of the extended API asks for: `?sensor=NAME&from=T&to=T&limit=N`; a parameter that is not understood is an error."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from agent.devshield.extended_reading import seconds_of

LISTED: Final = 5  # without any parameter, as the tutorial's API
LIMIT: Final = 100
MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Query:
    """`since` is inclusive, `until` exclusive, both in UNIX seconds; `sensor` None means every one."""

    sensor: str | None = None
    since: float = float("-inf")
    until: float = float("inf")
    limit: int = LISTED


def read(text: str) -> Query:
    """The query of a URL, without its question mark; raises ValueError that names the parameter."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=8)
    except ValueError as error:
        raise ValueError(f"query: cannot be read ({error})") from error
    given = dict(pairs)
    if len(given) < len(pairs):
        raise ValueError("query: a parameter is there twice")
    if unknown := given.keys() - {"sensor", "from", "to", "limit"}:
        raise ValueError(f"{min(unknown)}: no such parameter; there are sensor, from, to and limit")
    return Query(
        sensor=given.get("sensor"),
        since=_instant(given, "from", float("-inf")),
        until=_instant(given, "to", float("inf")),
        limit=_limit(given.get("limit"), LIMIT if given else LISTED),
    )


def chosen(readings: Iterable[dict[str, Any]], query: Query) -> list[dict[str, Any]]:
    """Those that the query asks for, newest first."""
    timed = ((seconds_of(each["time"]) or 0.0, place, each) for place, each in enumerate(readings))
    found = [
        (seconds, place, each)
        for seconds, place, each in timed
        if query.since <= seconds < query.until and (query.sensor is None or each.get("sensor") == query.sensor)
    ]
    found.sort(key=lambda row: row[:2], reverse=True)
    return [each for _, _, each in found[: query.limit]]


def by_sensor(readings: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many there are of each sensor, and its latest."""
    groups: dict[str | None, list[dict[str, Any]]] = {}
    for each in readings:
        groups.setdefault(each.get("sensor"), []).append(each)
    newest = Query(limit=1)
    return [
        {"sensor": name, "count": len(group), "latest": chosen(group, newest)[0]}
        for name, group in sorted(groups.items(), key=lambda item: item[0] or "")
    ]


def _instant(given: dict[str, str], name: str, otherwise: float) -> float:
    if name not in given:
        return otherwise
    # a plus sign in a query is a space
    seconds = seconds_of(given[name].replace(" ", "+"))
    if seconds is None:
        raise ValueError(f"{name}: must be an instant with its zone, as 2026-11-23T09:14:22Z")
    return seconds


def _limit(text: str | None, otherwise: int) -> int:
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= MOST):
        raise ValueError(f"limit: must be a whole number of 1 to {MOST}")
    return int(text)
