"""How answers look: one JSON object for programs, aligned lines for people; colour only on a terminal."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agent.reading import utc_text
from agent.sampler import Taken

PAINT_OF: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


def write_json(answer: Mapping[str, Any]) -> None:
    """One documented object on stdout; NaN can never be in it."""
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def mark(result: str) -> str:
    """`ok`, `warn` or `fail` in four capital letters, coloured where the terminal is."""
    from agent.cli.look import look_here

    return look_here(sys.stdout).paint(PAINT_OF[result], result.upper().ljust(4))


def table(rows: Sequence[Sequence[str]]) -> str:
    """The rows with their columns aligned, a line each; the last column is free."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def reading_json(taken: Taken, driver: str) -> dict[str, Any]:
    """One try to read in the shape that `read --json` promises."""
    return {
        "sensor": taken.name,
        "driver": driver,
        "celsius": taken.celsius,
        "time": utc_text(taken.stamp.utc),
        "error": taken.error.kind if taken.error else None,
        "reason": str(taken.error) if taken.error else None,
        "hint": (taken.error.hint or None) if taken.error else None,
    }


def reading_line(reading: Mapping[str, Any]) -> str:
    """The same for a person."""
    if reading["error"] is None:
        return f"{reading['sensor']}: {reading['celsius']:.3f} °C at {reading['time']}"
    hint = f" (next: {reading['hint']})" if reading["hint"] else ""
    return f"{reading['sensor']}: {reading['error']}: {reading['reason']}{hint}"
