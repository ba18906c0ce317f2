"""The command line: one module per family of commands. stdout is the answer, stderr the talk."""

import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, TextIO

from agent import __version__, journal
from agent.errors import AgentError, ConfigError

if TYPE_CHECKING:
    import argparse

FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DEFAULT_CONFIG: Final = Path("/etc/sensor-agent/config.toml")
FAMILIES: Final = (
    "run",
    "enroll",
    "renew",
    "identity",
    "image_check",
    "read",
    "probe",
    "init",
    "check",
    "status",
    "history",
    "spool",
    "shield",
    "demo",
    "completion",
)  # each a module beside this one


def parser(families: Sequence[str] = FAMILIES) -> "argparse.ArgumentParser":
    """The command line of those families; `--config`, `--root` and `--verbose` may stand before and after the command."""
    import argparse

    top = argparse.ArgumentParser(
        prog="sensor-agent",
        description="Temperature agent: reads sensors, spools, and delivers through a mutual-TLS API shield.",
        epilog="Exit codes: 0 done, 1 a fault, 2 usage, 65 unusable answer, 73 cannot write, 75 try again later, "
        "77 refused, 78 configuration, 141 nobody reads the answer any more.",
        parents=[_everywhere(config=DEFAULT_CONFIG, root=Path("/"), verbose=False)],
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    common = _everywhere(config=argparse.SUPPRESS, root=argparse.SUPPRESS, verbose=argparse.SUPPRESS)
    for family in families:
        importlib.import_module(f"agent.cli.{family}").register(commands, common)
    return top


def _everywhere(*, config: object, root: object, verbose: object) -> "argparse.ArgumentParser":
    import argparse

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config", type=Path, metavar="FILE", default=config, help=f"the configuration (default {DEFAULT_CONFIG})"
    )
    common.add_argument("--root", type=Path, default=root, help=argparse.SUPPRESS)
    common.add_argument("-v", "--verbose", action="store_true", default=verbose, help="log every reading")
    return common


def plain_run(words: Sequence[str]) -> SimpleNamespace | None:
    """What the parser makes of `run` with nothing but `--config=FILE` and `--root=DIR`; None for any other words.

    So the daemon as its unit starts it imports no argparse: with gettext and shutil 0.5 MiB that it would keep for years.
    """
    found: dict[str, Any] = {"config": DEFAULT_CONFIG, "root": Path("/")}
    for word in words:
        name, equals, value = word.partition("=")
        if name in {"--config", "--root"} and equals:
            found[name.removeprefix("--")] = Path(value)
        elif word != "run":
            return None
    if list(words).count("run") != 1:
        return None
    from agent.cli.run import run

    return SimpleNamespace(**found, verbose=False, once=False, json=False, handler=run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code."""
    _open_streams()
    try:
        try:
            return _run(sys.argv[1:] if argv is None else argv)
        finally:
            if sys.stdout:  # None where it was closed
                sys.stdout.flush()  # here: at the interpreter's end it would be told as a fault
    except BrokenPipeError:  # the reader of our answer has gone; nobody is left to tell
        for stream in filter(None, (sys.stdout, sys.stderr)):
            _lead_nowhere(stream)
        return 141  # 128 + SIGPIPE, as a shell has it
    except OSError as error:
        if error.errno not in FULL or error.filename is not None:
            raise
        _lead_nowhere(sys.stdout)
        sys.stderr.write(f"sensor-agent: the answer cannot be written: {error.strerror}\n  next: df\n")
        return 73


def _lead_nowhere(stream: TextIO) -> None:
    """What is still in its buffer cannot be written: the interpreter would try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_streams() -> None:
    """A stream that is closed leads nowhere, and a letter that the answer's encoding has not is a question mark."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for as long as we live
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _run(words: Sequence[str]) -> int:
    args = plain_run(words) or _parsed(words)
    journal.set_up(verbose=args.verbose)
    try:
        code: int = args.handler(args)
    except AgentError as error:
        tell(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130  # 128 + SIGINT, as a shell has it
    return code


def _parsed(words: Sequence[str]) -> "argparse.Namespace":
    # `status` need not wait for what `run` imports; a word that only looks like a command costs a second look
    named = [family for family in FAMILIES if family.replace("_", "-") in words]
    clear = len(named) == 1 and words[0].partition("=")[0] in {
        *(family.replace("_", "-") for family in named),
        "--config",
        "--root",
        "-v",
    }
    return parser(named if clear else FAMILIES).parse_args(words)


def tell(error: AgentError) -> None:
    """Say on stderr what is wrong, and on the last line what to do."""
    if isinstance(error, ConfigError) and len(error.problems) > 1:
        sys.stderr.write(f"sensor-agent: {len(error.problems)} mistakes in the configuration:\n")
        for problem in error.problems:
            sys.stderr.write(f"  {problem}\n")
    else:
        sys.stderr.write(f"sensor-agent: {error}\n")
    if error.hint:
        sys.stderr.write(f"  next: {error.hint}\n")
