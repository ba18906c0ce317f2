"""`read`: one reading of each sensor now; nothing is spooled and nothing is sent."""

import argparse
import sys
import threading
import time

from agent.cli import parts
from agent.cli.render import reading_json, reading_line, write_json
from agent.config import load
from agent.errors import UsageError
from agent.sampler import Sampler


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `read`."""
    command = commands.add_parser(
        "read", parents=[common], help="one reading now, nothing spooled", description="Read sensors once."
    )
    command.add_argument("names", nargs="*", metavar="NAME", help="only these sensors (default: all)")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.set_defaults(handler=read)


def read(args: argparse.Namespace) -> int:
    """Exit code 0 if every sensor was read, 1 if one failed, 2 for a name that is not configured."""
    config = load(args.config)
    known = [sensor.name for sensor in config.sensors]
    for name in args.names:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, n=1) or known
            raise UsageError(f"no sensor is named {name!r}", hint=f"the configuration has: {', '.join(near)}")
    probes = [
        probe
        for probe in parts.probes(config, args.root, wait=threading.Event().wait)
        if not args.names or probe.config.name in args.names
    ]
    sampler = Sampler(probes, parts.clock(config, args.root), monotonic=time.monotonic)
    taken = sampler.tick(probes)
    sampler.close()
    drivers = {sensor.name: sensor.driver for sensor in config.sensors}
    readings = [reading_json(each, drivers[each.name]) for each in taken]
    if args.json:
        write_json({"readings": readings})
    else:
        sys.stdout.writelines(reading_line(reading) + "\n" for reading in readings)
    return 1 if any(each.error for each in taken) else 0
