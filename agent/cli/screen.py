"""The status as one screen, the worst first: a pure function of the status, the instant and what the terminal can show."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from agent.cli.durations import ago, between, spell
from agent.cli.look import Look
from agent.cli.screen_facts import facts
from agent.cli.sparkline import span, sparkline

PAINT: Final = {"healthy": "green", "degraded": "yellow", "broken": "red", "stopped": "red"}
LABEL: Final = 10  # columns of the word before a fact
LEAST_TREND: Final = 6  # points; a shorter line says nothing
NARROW: Final = 60  # columns; below, an age is shown without its "ago"
MOST_PROBLEMS: Final = 6  # on one screen; a bus that is cut off takes twenty sensors with it


def screen(found: Mapping[str, Any], now: datetime, look: Look) -> str:
    """The whole screen, a newline at the end of each line; no line is longer than the terminal is wide."""
    blocks = [_head(found, now, look), _problems(found["problems"], look), _sensors(found["sensors"], now, look)]
    blocks.append([line for label, fact in facts(found, now) for line in _fact(label, fact, look)])
    return "\n".join("".join(line + "\n" for line in block) for block in blocks if block)


def _head(found: Mapping[str, Any], now: datetime, look: Look) -> list[str]:
    state = found["state"]
    running = f"up {spell(between(found['since'], now))}"
    if state == "stopped":
        running = f"last seen {ago(found['written'], now)}"
    rest = look.clean(f"  sensor-agent {found['version']}, {running}")
    if len(state + rest) > look.columns:
        rest = look.clean(f"  {found['version']}, {running}")
    return [look.paint(PAINT.get(state, ""), state) + rest]


def _problems(problems: Sequence[Mapping[str, str]], look: Look) -> list[str]:
    lines = []
    for problem in problems[:MOST_PROBLEMS]:
        what = _wrapped(problem["what"], look, first="! ", rest="  ")
        lines += [look.paint("bold", line) for line in what]
        lines += _wrapped(problem["fix"], look, first="  next: ", rest="        ")
    if len(problems) > MOST_PROBLEMS:
        lines += _wrapped(f"and {len(problems) - MOST_PROBLEMS} more: sensor-agent status --json", look)
    return lines


def _sensors(sensors: Sequence[Mapping[str, Any]], now: datetime, look: Look) -> list[str]:
    """A row for each: name, value, age, and as much of the trend as fits, or how it fails."""
    rows = [(_short(each["sensor"], look), _value(each, look), _age(each, now, look)) for each in sensors]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    room = look.columns - sum(widths) - 6  # two blanks between columns
    lines, hours = list[str](), 0.0
    for row, each in zip(rows, sensors, strict=True):
        start = "  ".join((row[0].ljust(widths[0]), row[1].rjust(widths[1]), row[2].rjust(widths[2])))
        trend, shown = _trend(each, room, look)
        hours = max(hours, shown)
        failing = each["error"] is not None
        painted = look.paint("red", start) if failing else start
        lines.append(f"{painted}  {trend}".rstrip() if trend else painted.rstrip())
        if failing:
            lines += _wrapped(_failure(each), look, first="    ", rest="    ")
    if hours:
        head = f"last {hours:g} h"
        lines.insert(0, look.paint("dim", head.rjust(min(look.columns - room + len(head), look.columns))))
    return lines


def _value(sensor: Mapping[str, Any], look: Look) -> str:
    return look.clean("—" if sensor["celsius"] is None else f"{sensor['celsius']:.3f} °C")


def _age(sensor: Mapping[str, Any], now: datetime, look: Look) -> str:
    if not sensor["last_good"]:
        return "never"
    return spell(between(sensor["last_good"], now)) + (" ago" if look.columns >= NARROW else "")


def _failure(sensor: Mapping[str, Any]) -> str:
    tries = sensor["failures"]
    return f"{sensor.get('kind') or 'failing'}, {tries} {'try' if tries == 1 else 'tries'} in a row"


def _trend(sensor: Mapping[str, Any], room: int, look: Look) -> tuple[str, float]:
    """As many of the latest points as fit, with their range where there is room; and the hours they span."""
    trend = sensor.get("trend") or {"celsius": (), "step_seconds": 0}
    points = trend["celsius"][-room:] if room >= LEAST_TREND else ()
    if sum(point is not None for point in points) < 2:
        return "", 0.0
    line, words = sparkline(points, look.sparks), span(points)
    shown = f"{line}  {words}" if len(line) + 2 + len(words) <= room else line
    return shown, len(points) * trend["step_seconds"] / 3600


def _fact(label: str, fact: str, look: Look) -> list[str]:
    return _wrapped(fact, look, first=label.ljust(LABEL), rest=" " * LABEL)


def _short(name: str, look: Look) -> str:
    """The name, its middle cut to what leaves room for the rest: many begin alike, and many end alike."""
    most = max(10, look.columns // 3)
    shown = look.clean(name)
    return shown if len(shown) <= most else shown[: most // 2] + look.clean("…")[:1] + shown[most // 2 + 1 - most :]


def _wrapped(text: str, look: Look, *, first: str = "", rest: str = "") -> list[str]:
    """Lines that fit, with a number and its unit never apart."""
    glued = re.sub(r"(?<=\d) (?=\S)", "\x1f", look.clean(text))
    lines = textwrap.wrap(glued, look.columns, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
    return [line.replace("\x1f", " ") for line in lines]
