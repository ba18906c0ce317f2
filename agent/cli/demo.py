"""`demo`: the whole system on this machine, no hardware, no account."""

import argparse
import sys
from pathlib import Path

from agent.cli import durations
from agent.cli.look import look_here


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `demo`."""
    command = commands.add_parser(
        "demo",
        parents=[common],
        help="the whole system on this machine, no hardware, no account",
        description="Tells the story of the system with the real agent on loopback; exit code 0 only if every step held.",
    )
    command.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep everything in DIR and leave it running until Ctrl-C"
    )
    command.add_argument(
        "--seconds", type=durations.seconds, metavar="N", help="leave it running for N seconds after the story"
    )
    command.set_defaults(handler=demo)


def demo(args: argparse.Namespace) -> int:
    """Tell the story."""
    from agent.devshield.demo import demo as tell

    return tell(keep=args.keep, seconds=args.seconds, colour=look_here(sys.stdout).colour)
