"""Who answers a question about the spool: the daemon by its control channel, else the spool itself, opened meanwhile."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent import control
from agent.errors import SpoolError
from agent.status_file import RUN_DIRECTORY


def ask(config_file: Path, root: Path, question: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The answer's lines without the last. Raises what the daemon or the spool says against it.

    A daemon that starts while the spool is open here finds it in use, says so and tries again (exit code 75).
    """
    try:
        lines = control.ask(root / RUN_DIRECTORY, question)
    except (FileNotFoundError, ConnectionRefusedError):
        lines = _from_the_file(config_file, root, question)
    return (line for line in lines if not line.get("done"))


def _from_the_file(config_file: Path, root: Path, question: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from agent import desk
    from agent.cli import parts
    from agent.config import load
    from agent.spool import is_spool

    config = load(config_file)
    path = Path(config.spool.path)
    try:
        there = is_spool(path)
    except OSError as error:
        raise SpoolError(f"spool.path: {path}: {error}", hint="the same command with sudo") from error
    if not there:
        raise SpoolError(f"spool.path: there is no spool at {path}", hint="sensor-agent run # it makes one")
    with parts.spool(config, root) as spool:
        if trouble := spool.counts().trouble:
            raise SpoolError(trouble, hint="the same command with sudo; or see: sensor-agent check")
        yield from desk.answer(spool, question, may_change=True, wake=lambda: None)
