"""`run`: the daemon, or one tick and one flush of it."""

import math
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import parts
from agent.cli.daemon import serve, ticks_of
from agent.cli.daemon_status import describe, moment_of
from agent.cli.render import reading_json, reading_line, write_json
from agent.config import Config, load
from agent.delivery import LineState
from agent.errors import SpoolError
from agent.status_file import StatusFile

if TYPE_CHECKING:
    import argparse

ONCE_EXIT = {LineState.BACKOFF: 75, LineState.MISDIRECTED: 78, LineState.HOLD: 77, LineState.UNENROLLED: 78}


def register(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: "argparse.ArgumentParser"
) -> None:
    """Add `run`."""
    command = commands.add_parser(
        "run", parents=[common], help="the daemon", description="Read, spool and deliver until SIGTERM; SIGHUP reloads."
    )
    command.add_argument("--once", action="store_true", help="one tick, one flush, exit")
    command.add_argument("--json", action="store_true", help="with --once: the outcome as one JSON object")
    command.set_defaults(handler=run)


def run(args: "argparse.Namespace") -> int:
    """Run the daemon, or with `--once` a single tick and flush."""
    config = load(args.config)
    return once(config, args.root, as_json=args.json) if args.once else serve(config, args.config, args.root)


def once(config: Config, root: Path, *, as_json: bool) -> int:
    """One tick, one flush. Exit code 0 if everything was read and delivered, 1 if a sensor failed, 73 if readings could
    be neither stored nor delivered, else as the line has it."""
    from agent.cli.progress import Progress, draining  # brings argparse, which the daemon does without

    event = threading.Event()
    status_file = StatusFile(root)
    with parts.spool(config, root) as spool:
        clock = parts.clock(config, root)
        flush = parts.flush(spool, parts.plan(config, root))
        ticks = ticks_of(config, root, clock, spool, wait=event.wait)
        begun, before = time.time(), spool.counts()
        taken = ticks.tick(patience=math.inf)
        with Progress() as progress:
            flush.drain(draining(spool.counts, event.wait, progress, time.monotonic))
        flush.close()
        moment = moment_of(clock, begun)
        status = describe(config, moment, spool.counts(), flush, ticks.sampler, running=False, before=before)
        status_file.write(status)
    drivers = {sensor.name: sensor.driver for sensor in config.sensors}
    readings = [reading_json(each, drivers[each.name]) for each in taken]
    if as_json:
        write_json({"readings": readings, "spool": status["spool"], "uplink": status["uplink"]})
    else:
        sys.stdout.writelines(reading_line(each) + "\n" for each in readings)
        uplink, pending = status["uplink"], status["spool"]["pending"]
        sys.stdout.write(f"delivered {uplink['acknowledged']}, pending {pending}, line {uplink['state']}\n")
        why = [each for each in status["problems"] if not each["what"].startswith("sensor")]
        if pending and why:
            sys.stderr.write(f"sensor-agent: {why[0]['what']}\n  next: {why[0]['fix']}\n")
    if status["spool"]["pending"] and status["spool"]["state"] != "ok":
        sys.stderr.write(f"sensor-agent: readings lost: {status['spool']['state']}\n")
        return SpoolError.exit_code
    if status["spool"]["pending"] and flush.line.state in ONCE_EXIT:
        return ONCE_EXIT[flush.line.state]
    return 1 if any(each.error for each in taken) else 0
