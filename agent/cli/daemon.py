"""The daemon, put together: its parts from a configuration, and again at each reload. Brings no argparse."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from agent import desk
from agent.cli import parts
from agent.cli.daemon_status import DaemonStatus
from agent.clock import Clock
from agent.config import Config, load
from agent.control import Control
from agent.errors import ConfigError
from agent.flash import resumed
from agent.notify import from_environment, watchdog_seconds
from agent.sampler import Sampler
from agent.sensors import Wait
from agent.service import Assembly, Service, block_awaited_signals
from agent.spool import Spool
from agent.status import Problem, trends
from agent.status_file import RUN_DIRECTORY, StatusFile
from agent.status_file import read as last_status
from agent.ticks import Ticks

log = logging.getLogger(__name__)


def serve(config: Config, config_file: Path, root: Path) -> int:
    """The daemon; returns when it was told to stop."""
    block_awaited_signals()
    notifier = from_environment(os.environ)
    stop = threading.Event()
    with parts.spool(config, root) as spool:
        flush = parts.flush(spool, parts.plan(config, root))
        status = DaemonStatus(spool, flush, resumed(_before(root)))
        assembler = Assembler(config, config_file, root, spool, status, wait=stop.wait)
        service = Service(
            assembler.assemble(config),
            spool,
            flush,
            notifier=notifier,
            watchdog_seconds=watchdog_seconds(os.environ),
            write_status=StatusFile(root).write,
            reload=assembler.reload,
            stop=stop,
        )
        control = Control(root / RUN_DIRECTORY, partial(_answer, spool, service.deliver_soon))
        control.start()
        try:
            service.run()
        finally:
            control.close()
    return 0


class Assembler:
    """Makes what a configuration amounts to, at the start and at each reload; spool, delivery and status stay the same."""

    def __init__(
        self, config: Config, config_file: Path, root: Path, spool: Spool, status: DaemonStatus, *, wait: Wait
    ) -> None:
        self._config = config  # in force
        self._config_file, self._root, self._wait = config_file, root, wait
        self._spool, self._status = spool, status

    def assemble(self, config: Config) -> Assembly:
        """The assembly of that configuration; raises ConfigError."""
        plan, clock = parts.plan(config, self._root), parts.clock(config, self._root)
        ticks = ticks_of(config, self._root, clock, self._spool, wait=self._wait)
        return Assembly(
            ticks=ticks,
            plan=plan,
            limits=parts.limits(config),
            request_seconds=config.uplink.timeout_seconds,
            describe=lambda running: self._status.now(config, clock, ticks.sampler, running=running),
        )

    def reload(self) -> Assembly | None:
        """The assembly of the configuration as its file has it now; None if that is refused, and the log says why."""
        try:
            new = load(self._config_file)
            if new.spool.path != self._config.spool.path:
                raise ConfigError(  # noqa: TRY301 - refused like what `load` finds
                    f"spool.path: cannot change while running (got {new.spool.path!r})",
                    hint="sudo systemctl restart sensor-agent",
                )
            made = self.assemble(new)
        except ConfigError as error:
            log.error("new configuration refused, the old one stays", extra={"PROBLEMS": str(error)})  # noqa: TRY400
            what = f"configuration: the old one stays in force, the new one is refused: {error.problems[0]}"
            mended = error.hint or "sensor-agent check --offline"
            fix = mended if "systemctl" in mended else f"{mended}; sudo systemctl reload sensor-agent"
            self._status.refused = Problem(what, fix)
            return None
        self._config, self._status.refused = new, None
        log.info("configuration reloaded", extra={"SENSORS": len(new.sensors)})
        return made


def ticks_of(config: Config, root: Path, clock: Clock, spool: Spool, *, wait: Wait) -> Ticks:
    """The ticks of the configured sensors, with what the daemon before has said of their last hours."""
    probes = parts.probes(config, root, wait=wait)
    sampler = Sampler(probes, clock, monotonic=time.monotonic, trends=trends(_before(root), clock.stamp()))
    return Ticks(probes, sampler, spool, clock, monotonic=time.monotonic)


def _answer(spool: Spool, wake: Callable[[], None], question: dict[str, Any], user: int) -> Iterator[dict[str, Any]]:
    return desk.answer(spool, question, may_change=user in {0, os.geteuid()}, wake=wake)


def _before(root: Path) -> dict[str, Any]:
    """What the daemon before (or this one before a reload) has said last; empty if nothing."""
    try:
        last = last_status(root)
    except (OSError, ValueError):
        return {}
    return last[0] if last else {}
