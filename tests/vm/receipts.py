"""What the shield has received, out of its request log; pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vm.reports import Value


@dataclass(frozen=True, slots=True)
class Receipt:
    """One reading that was stored: when (UNIX seconds), under which Idempotency-Key, and what."""

    at: float
    key: str
    value: Value


def receipts(rows: Iterable[Mapping[str, Any]]) -> list[Receipt]:
    """Of the requests that stored a reading, in their order."""
    found = []
    for row in rows:
        if row["stored"]:
            body = json.loads(row["body"])
            value = Value(body["sensor"], body["time"], float(body["temperature"]))
            found.append(Receipt(row["time"], row["idempotency_key"], value))
    return found
