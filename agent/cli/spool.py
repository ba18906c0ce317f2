"""`spool`: what waits on this device, looked at and put right beside a running daemon, or without one."""

import argparse
import sys
import time
from typing import Any

from agent.cli import when
from agent.cli.ask import ask
from agent.cli.render import table, write_json
from agent.cli.spool_export import export
from agent.errors import UsageError
from agent.reading import counted, decimal, utc_text


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `spool` and its commands."""
    family = commands.add_parser("spool", help="what waits here, and sending it again", parents=[common])
    parts = family.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _command(parts, common, "show", show, "how much lies where")
    part = _command(parts, common, "export", export, "write the readings to a file")
    part.add_argument("file", metavar="FILE", help="a name in .csv or .jsonl; - for stdout")
    part.add_argument("--format", choices=("csv", "jsonl"), help="where the name does not say it (default csv)")
    part.add_argument("--past", action="store_true", help="also what was delivered and is still known")
    aside = parts.add_parser("set-aside", help="readings that the shield refused", parents=[common])
    kinds = aside.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, handler, told in (
        ("list", list_aside, "which, and why"),
        ("retry", retry, "send them once more"),
        ("drop", drop, "forget them; they are counted as dropped"),
    ):
        part = _command(kinds, common, name, handler, told)
        part.add_argument("--seq", type=int, action="append", metavar="N", help="only this one; may be repeated")
        part.add_argument("--sensor", metavar="NAME", help="only of this sensor")
        part.add_argument("--status", type=int, metavar="CODE", help="only those refused with this HTTP status")
        if handler is not list_aside:
            part.add_argument("--all", action="store_true", help="every one of them")
    part = _command(parts, common, "replay", replay, "send a stretch of time once more, after a loss at the other end")
    part.add_argument("--from", dest="since", required=True, metavar="TIME", help=when.AS)
    part.add_argument("--to", dest="until", required=True, metavar="TIME", help="up to then, included")


def _command(
    parts: "argparse._SubParsersAction[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,
    name: str,
    handler: Any,
    told: str,
) -> argparse.ArgumentParser:
    part = parts.add_parser(name, parents=[common], help=told, description=f"{told[0].upper()}{told[1:]}.")
    part.add_argument("--json", action="store_true", help="one JSON object")
    part.set_defaults(handler=handler)
    return part


def show(args: argparse.Namespace) -> int:
    """Exit code 0."""
    (line,) = ask(args.config, args.root, {"ask": "show"})
    seen = line["show"]
    if args.json:
        write_json(seen)
        return 0
    waiting = f"{seen['pending']} of {seen['capacity']}" + (
        f", the oldest of {seen['oldest']}" if seen["oldest"] else ""
    )
    rows = [
        ("spool", f"{seen['path']}, {_size(seen['bytes'])}: {seen['state']}"),
        ("pending", waiting),
        *((("of these", f"{seen['held']} wait for the clock"),) if seen["held"] else ()),
        *((("of these", f"{seen['again']} go once more"),) if seen["again"] else ()),
        ("set aside", f"{seen['set_aside']}" + (": sensor-agent spool set-aside list" if seen["set_aside"] else "")),
        ("dropped", f"{seen['dropped']}"),
        ("past", f"{seen['past']} delivered ones known" + (f" since {seen['past_since']}" if seen["past"] else "")),
    ]
    sys.stdout.write(table(rows))
    return 0


def list_aside(args: argparse.Namespace) -> int:
    """Exit code 0, also if there are none."""
    (line,) = ask(args.config, args.root, {"ask": "aside", **_filter(args)})
    names = ("seq", "sensor", "time", "celsius", "status", "reason")
    found = [
        dict(zip(names, (seq, sensor, time_, milli / 1000, status, reason), strict=True))
        for seq, sensor, time_, milli, status, reason in line["aside"]
    ]
    if args.json:
        write_json({"set_aside": found})
        return 0
    rows = [
        (str(seq), sensor, time_ or "time unknown", f"{decimal(milli)} °C", str(status or "-"), reason)
        for seq, sensor, time_, milli, status, reason in line["aside"]
    ]
    sys.stdout.write(table(rows) or "none\n")
    return 0


def retry(args: argparse.Namespace) -> int:
    """Exit code 0; 1 if some of those meant cannot be sent."""
    (line,) = ask(args.config, args.root, {"ask": "retry", **_explicit(args)})
    kept = line["not_sendable"]
    if args.json:
        write_json({"retried": line["retried"], "not_sendable": kept})
    else:
        sys.stdout.write(f"{counted(line['retried'])} to go once more, when nothing else is waiting\n")
        if kept:
            sys.stdout.write(f"{kept} stay: damaged, or nobody can tell their time any more\n")
    return 1 if kept else 0


def drop(args: argparse.Namespace) -> int:
    """Exit code 0."""
    (line,) = ask(args.config, args.root, {"ask": "drop", **_explicit(args)})
    if args.json:
        write_json({"dropped": line["dropped"]})
    else:
        sys.stdout.write(f"{counted(line['dropped'])} dropped\n")
    return 0


def replay(args: argparse.Namespace) -> int:
    """Exit code 0, also if nothing is known of that time; 2 for times that make no sense."""
    now = time.time()
    since, until = (
        when.second(text, now=now, option=option) for text, option in ((args.since, "--from"), (args.until, "--to"))
    )
    if since > until:
        raise UsageError(f"--from {args.since} is after --to {args.until}", hint=f"write them as {when.AS}")
    (line,) = ask(args.config, args.root, {"ask": "replay", "since": since, "until": until})
    if args.json:
        write_json({"replayed": line["replayed"], "since": utc_text(since), "until": utc_text(until)})
    else:
        stretch = f"{utc_text(since)} to {utc_text(until)}"
        sys.stdout.write(f"{counted(line['replayed'])} of {stretch} to go once more, when nothing else is waiting\n")
    return 0


def _filter(args: argparse.Namespace) -> dict[str, Any]:
    return {"seqs": args.seq or [], "sensor": args.sensor, "status": args.status}


def _explicit(args: argparse.Namespace) -> dict[str, Any]:
    """The filter, which must say something."""
    chosen = _filter(args)
    if args.all == any(value not in ([], None) for value in chosen.values()):
        raise UsageError(
            "say which: --seq N, --sensor NAME or --status CODE, or --all alone",
            hint="sensor-agent spool set-aside list",
        )
    return chosen


def _size(count: int | None) -> str:
    return "no file" if count is None else f"{count / 1e6:.1f} MB"
