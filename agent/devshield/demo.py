"""The demo: the whole system on this machine, without hardware or an account, told step by step."""

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.devshield.stage import FREEZER, NotHeld, Stage
from agent.devshield.story import STEPS, tell
from agent.errors import AgentError, CannotWrite

DONE_AT: Final = (0.6, 0.6, 1.4, 2.0, 6.0, 6.8, 6.8, 8.0, 9.1)  # seconds from the start to each step's end, as measured
ERASE: Final = "\r\x1b[K"
DIM, GREEN, RED, PLAIN = "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[0m"
INTRODUCTION: Final = """\
sensor-agent demo: the real agent on this machine, without hardware and without an account.
The sensors, the shield and its certificate authority are stand-ins; nothing leaves loopback.
"""


class Occupied(AgentError):
    """The directory holds a demo."""

    exit_code = 2


def demo(*, keep: Path | None, seconds: float | None, colour: bool) -> int:
    """Tell the story; 0 if every step held, 1 at the first that did not.

    With `keep`, everything stays in that directory and goes on running for `seconds`, or until Ctrl-C. Raises
    Occupied if another demo is in there, CannotWrite if it cannot be made.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # 128 + SIGTERM; the `finally` below ends what runs
    directory = keep or Path(tempfile.mkdtemp(prefix="sensor-agent-demo-"))
    if keep is not None:
        _claim(keep)
    stage = Stage(directory.resolve())
    paint = _painter(colour)
    begun = time.monotonic()
    sys.stdout.write(INTRODUCTION)
    try:
        _tell(stage, paint, begun)
        if keep is not None or seconds:
            sys.stdout.write(_how_to_poke(stage, seconds))
            sys.stdout.flush()
            threading.Event().wait(seconds)
    except NotHeld as error:
        sys.stdout.write(f"{paint(RED, '  ✗  this did not hold:')} {error}\n")
        return 1
    finally:
        stage.close()
        if keep is None:
            shutil.rmtree(directory)
    return 0


def _claim(directory: Path) -> None:
    """Make the directory, and in one step the part of it by which a second demo knows that there is one."""
    try:
        (directory / "board").mkdir(parents=True)
    except FileExistsError as error:
        way = f"another directory; or end that demo with Ctrl-C, then: rm -r {directory}"
        raise Occupied(f"{directory} holds a demo already, which may still run", hint=way) from error
    except OSError as error:
        raise CannotWrite(f"{directory} cannot be made: {error.strerror}", hint="another directory") from error


def _tell(stage: Stage, paint: Callable[[str, str], str], begun: float) -> None:
    on_terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    steps = tell(stage)
    for number, (title, _) in enumerate(STEPS, 1):
        if on_terminal:
            left = seconds_left(number - 1, time.monotonic() - begun)
            sys.stdout.write(paint(DIM, f"  {number} of {len(STEPS)}: {title}, about {left:.0f} s left"))
            sys.stdout.flush()
        try:
            _, happened, proves = next(steps)
        finally:
            sys.stdout.write(ERASE if on_terminal else "")
        sys.stdout.write(
            f"\n{number}. {title} {paint(DIM, f'({time.monotonic() - begun:.1f} s)')}\n"
            f"{paint(GREEN, '  ✓')}  {happened}\n     {paint(DIM, f'proves: {proves}')}\n"
        )
        sys.stdout.flush()
    sys.stdout.write(f"\nAll {len(STEPS)} steps held, in {time.monotonic() - begun:.1f} s.\n")


def seconds_left(done: int, gone: float) -> float:
    """Seconds until the end after `done` steps in `gone` seconds: a machine that was slower so far stays so."""
    here = DONE_AT[done - 1] if done else 0.0
    pace = max(1.0, gone / here) if here >= 1.0 else 1.0
    return pace * (DONE_AT[-1] - here)


def _painter(colour: bool) -> Callable[[str, str], str]:  # noqa: FBT001 - private, one caller
    return (lambda code, text: f"{code}{text}{PLAIN}") if colour else (lambda _, text: text)


def _how_to_poke(stage: Stage, seconds: float | None) -> str:
    cert, key = stage.pair()
    where = stage.where
    frame = stage.board / "sys/bus/w1/devices" / FREEZER / "w1_slave"
    agent = f"{sys.executable} -m agent.devshield.board --config={stage.config} --root={stage.board}"
    until = f"for {seconds:g} s" if seconds else "until Ctrl-C"
    return f"""
It goes on running {until}. In another terminal:

  {agent} status --watch
  {agent} read
  {agent} check
  {agent} identity bundle reader.p12 --password-file F
  curl --cacert {where["ca_file"]} --cert {cert} --key {key} {where["shield"]}
  curl --cacert {where["ca_file"]} {where["shield"]}                      # 403
  curl --cacert {where["ca_file"]} https://127.0.0.1:{where["api_port"]}/__fault -d '{{"shield": ["503*10"]}}'

  the reader's page     {where["page"]}, in a browser that has reader.p12 (docs/reader.md)
  the agent's log       {stage.directory}/daemon.log
  its spool             {stage.directory}/spool/spool.db
  its certificate       {cert}
  a sensor to change    {frame}
  what the shield got   {stage.shield_directory}/requests.jsonl
"""
