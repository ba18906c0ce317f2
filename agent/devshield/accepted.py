"""What the shield's log says was accepted: each reading once, and whether they came in order."""

import json
from collections.abc import Iterable, Sequence
from typing import Any


def accepted(lines: Iterable[str]) -> list[dict[str, Any]]:
    """The readings that the shield has taken, singly or in a batch, in the order they came.

    One that came again under its key, because the answer was lost, is taken once.
    """
    first: dict[tuple[Any, ...], dict[str, Any]] = {}
    for key, reading in (each for line in lines for each in _taken(json.loads(line))):
        first.setdefault((key, *(reading.get(name) for name in ("time", "temperature", "sensor"))), reading)
    return list(first.values())


def disorder(got: Sequence[dict[str, Any]]) -> str:
    """What is wrong with their order: a sensor's times that go back, a reading that came twice; empty if nothing is."""
    last: dict[str, str] = {}
    for each in got:
        before = last.get(each["sensor"], "")
        if each["time"] < before:
            return f"the readings came out of order: {each} after one of {before}"
        if each["time"] == before:
            return f"a reading came twice: {each}"
        last[each["sensor"]] = each["time"]
    return ""


def _taken(request: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Key and reading of what one entry answered with 201."""
    if request["method"] != "POST" or request["status"] not in {201, 207}:
        return []
    body, results = json.loads(request["body"]), request["results"]
    if results is None:
        return [(request["idempotency_key"].strip('"'), body)]
    return [(item["key"], item) for item, each in zip(body, results, strict=True) if each == 201]
