"""`history`: the readings that are still known on this device, as a chart, a picture, a table, or JSON."""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from agent.cli import when
from agent.cli.ask import ask
from agent.errors import CannotWrite, UsageError
from agent.reading import LATEST_SECOND, counted, decimal, utc_text

NARROWEST, WIDEST = 40, 120  # columns of a chart that is good to look at


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `history`."""
    command = commands.add_parser(
        "history",
        parents=[common],
        help="readings still known here, delivered or not",
        description="What this device still knows: every reading of about a day, one in ten minutes for a week, one an "
        "hour for a year. Times are UTC.",
    )
    command.add_argument("sensors", nargs="*", metavar="SENSOR", help="only these (default: all)")
    command.add_argument("--since", default="24h", metavar="TIME", help=f"from then on: {when.AS} (default 24h)")
    command.add_argument("--until", metavar="TIME", help="up to then (default now)")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object")
    form.add_argument("--csv", action="store_true", help="sensor, time, celsius; a line each (RFC 4180)")
    form.add_argument("--svg", type=Path, metavar="FILE", help="a picture, written to FILE (- for stdout)")
    form.add_argument("--gaps", action="store_true", help="only what is missing, and why")
    command.set_defaults(handler=history)


def history(args: argparse.Namespace) -> int:
    """Exit code 0, also if nothing is known; 2 for a time or a sensor that makes no sense."""
    now = time.time()
    since = when.second(args.since, now=now, option="--since")
    until = int(now) if args.until is None else when.second(args.until, now=now, option="--until")
    if since >= until:
        end = "now" if args.until is None else f"--until {args.until}"
        raise UsageError(f"--since {args.since} is not before {end}", hint=f"write it as {when.AS}")
    gaps = [gap for line in ask(args.config, args.root, {"ask": "gaps"}) for gap in line["gaps"]]
    gaps = [gap for gap in gaps if gap[2] >= since and gap[1] <= until]
    known, readings = {gap[0] for gap in gaps}, dict[str, dict[int, int]]()
    if not args.gaps or not known.issuperset(args.sensors):  # a sensor without a gap is known by its readings
        # a clock that was set back has stamps ahead of it: what is there is shown
        readings = _readings(args, since, LATEST_SECOND if args.until is None else until)
    names = _chosen(args, sorted(known | readings.keys()))
    if args.gaps:
        _write_gaps([gap for gap in gaps if gap[0] in names])
    elif args.json:
        _write_json(names, readings, gaps)
    elif args.csv:
        _write_csv(names, readings)
    else:
        _draw(args, names, readings, gaps, (since, until))
    return 0


def _readings(args: argparse.Namespace, since: int, until: int) -> dict[str, dict[int, int]]:
    """Thousandths of a degree by UTC second, of each sensor; by time."""
    found: dict[str, dict[int, int]] = {}
    for line in ask(args.config, args.root, {"ask": "readings", "since": since, "until": until}):
        for _, _, sensor, seconds, milli, *_ in line["known"]:
            found.setdefault(sensor, {})[seconds] = milli
    return {sensor: dict(sorted(points.items())) for sensor, points in found.items()}


def _chosen(args: argparse.Namespace, known: list[str]) -> list[str]:
    for name in args.sensors:
        if name not in known:
            what = f"the device knows of: {', '.join(known)}" if known else "sensor-agent status"
            raise UsageError(f"nothing is known of a sensor {name!r} since {args.since}", hint=what)
    return args.sensors or known


def _write_json(names: list[str], readings: dict[str, dict[int, int]], gaps: list[list[Any]]) -> None:
    answer = [
        {
            "sensor": name,
            "points": [[utc_text(second), milli / 1000] for second, milli in readings.get(name, {}).items()],
            "gaps": [
                {"since": utc_text(since), "until": utc_text(until), "count": count, "cause": cause}
                for sensor, since, until, count, cause in gaps
                if sensor == name
            ],
        }
        for name in names
    ]
    sys.stdout.write(json.dumps({"sensors": answer}, ensure_ascii=False, allow_nan=False) + "\n")


def _write_csv(names: list[str], readings: dict[str, dict[int, int]]) -> None:
    from agent.chart import csv_text

    _no_newline_changes()
    sys.stdout.write(csv_text.record(("sensor", "time", "celsius")))
    for name in names:
        for second, milli in readings.get(name, {}).items():
            sys.stdout.write(csv_text.record((name, utc_text(second), decimal(milli))))


def _write_gaps(gaps: list[list[Any]]) -> None:
    from agent.cli.render import table

    rows = [
        (sensor, utc_text(since), utc_text(until), counted(count), cause)
        for sensor, since, until, count, cause in sorted(gaps, key=lambda gap: (gap[1], gap[0]))
    ]
    sys.stdout.write(table(rows) or "no gaps\n")


def _draw(
    args: argparse.Namespace,
    names: list[str],
    readings: dict[str, dict[int, int]],
    gaps: list[list[Any]],
    stretch: tuple[int, int],
) -> None:
    from agent.chart import svg, terminal
    from agent.chart.series import Hole, made
    from agent.cli.look import columns_of, look_here

    since, until = stretch
    every = [
        made(
            name,
            [(second, milli / 1000) for second, milli in readings.get(name, {}).items()],
            [Hole(begin, end, cause, count) for sensor, begin, end, count, cause in gaps if sensor == name],
            since=since,
            until=until,
        )
        for name in names
    ]
    if args.svg is None:
        fine = look_here(sys.stdout).unicode and os.environ.get("TERM") != "linux"  # its console has no such dots
        width = min(max(columns_of(sys.stdout, os.environ), NARROWEST), WIDEST)
        charts = [terminal.draw(series, since=since, until=until, width=width, fine=fine) for series in every]
        sys.stdout.write("\n".join(charts) or f"nothing is known since {args.since}\n")
        return
    picture = svg.draw(every, since=since, until=until)
    if str(args.svg) == "-":
        sys.stdout.write(picture)
        return
    try:
        args.svg.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"{args.svg} cannot be written: {error}", hint=f"ls -ld {args.svg.parent}") from error


def _no_newline_changes() -> None:
    """CRLF stays CRLF on stdout."""
    sys.stdout.reconfigure(newline="")  # type: ignore[union-attr]  # always a TextIOWrapper here
