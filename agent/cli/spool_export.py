"""`spool export`: every reading that lies here, as comma-separated values or as lines of JSON."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from agent.chart import csv_text
from agent.cli.ask import ask
from agent.cli.render import write_json
from agent.errors import CannotWrite, UsageError
from agent.reading import LATEST_SECOND, counted, decimal, utc_text

FIELDS: Final = ("where", "seq", "sensor", "time", "celsius", "status", "reason")
SUFFIXES: Final = {".csv": "csv", ".jsonl": "jsonl"}


def export(args: argparse.Namespace) -> int:
    """Exit code 0; 73 if the file cannot be written, and then there is none or the one from before."""
    to_stdout = args.file == "-"
    form = args.format or (("jsonl" if args.json else "csv") if to_stdout else SUFFIXES.get(Path(args.file).suffix))
    if form is None:
        raise UsageError(f"{args.file}: neither .csv nor .jsonl", hint="--format csv or --format jsonl")
    rows = _rows(args, past=args.past)
    if to_stdout:
        sys.stdout.reconfigure(newline="")  # type: ignore[union-attr]  # CRLF stays CRLF
        for text in _texts(rows, form):
            sys.stdout.write(text)
        return 0
    count = _write(Path(args.file), _texts(rows, form)) - (form == "csv")
    if args.json:
        write_json({"file": args.file, "readings": count})
    else:
        sys.stdout.write(f"{counted(count)} written to {args.file}\n")
    return 0


def _rows(args: argparse.Namespace, *, past: bool) -> Iterator[list[Any]]:
    """Each reading once: what is known as the past too is told as what it is now."""
    told: set[int] = set()
    for line in ask(args.config, args.root, {"ask": "unsent"}):
        for row in line["known"]:
            told.add(row[1])
            yield row
    if past:
        for line in ask(args.config, args.root, {"ask": "readings", "since": 0, "until": LATEST_SECOND}):
            for row in line["known"]:
                if row[1] not in told:
                    told.add(row[1])
                    yield row


def _texts(rows: Iterator[list[Any]], form: str) -> Iterator[str]:
    if form == "csv":
        yield csv_text.record(FIELDS)
    for where, seq, sensor, seconds, milli, status, reason in rows:
        time = None if seconds is None else utc_text(seconds)
        if form == "csv":
            yield csv_text.record((where, seq, sensor, time, decimal(milli), status, reason))
        else:
            values = (where, seq, sensor, time, milli / 1000, status, reason or None)
            yield json.dumps(dict(zip(FIELDS, values, strict=True)), ensure_ascii=False, allow_nan=False) + "\n"


def _write(file: Path, texts: Iterator[str]) -> int:
    """Write the file whole or not at all; gives how many lines."""
    fresh = file.with_name(file.name + ".new")
    count = 0
    try:
        with fresh.open("w", encoding="utf-8", newline="") as out:
            for text in texts:
                out.write(text)
                count += 1
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
    except OSError as error:
        raise CannotWrite(
            f"{file} cannot be written: {error}", hint=f"ls -ld {file.parent}; df {file.parent}"
        ) from error
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    return count
