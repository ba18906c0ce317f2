"""The daemon, put together: its parts from a configuration, and again at each reload. Brings no argparse."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agent import __version__, desk
from agent.backlog import Backlog
from agent.cli import parts
from agent.clock import Clock
from agent.config import Config, load
from agent.control import Control
from agent.errors import ConfigError
from agent.flash import resumed, written
from agent.flush import Flush
from agent.notify import from_environment, watchdog_seconds
from agent.sampler import Sampler
from agent.service import Parts, Service, block_signals
from agent.spool import Counts, Spool
from agent.status import Moment, seen_to, snapshot, trends
from agent.status_file import RUN_DIRECTORY, StatusFile
from agent.status_file import read as last_status
from agent.ticks import Ticks

log = logging.getLogger(__name__)


def serve(config: Config, config_file: Path, root: Path) -> int:
    """The daemon; returns when it was told to stop."""
    block_signals()
    notifier = from_environment(os.environ)
    stop = threading.Event()
    status_file = StatusFile(root)
    with parts.spool(config, root) as spool:
        plan = parts.plan(config, root)
        flush = parts.flush(spool, plan)
        begun, before = time.time(), spool.counts()
        last = before
        current, backlog, flash = config, Backlog(), resumed(_before(root))

        def say(new: Config, clock: Clock, sampler: Sampler, *, running: bool) -> dict[str, Any]:
            nonlocal backlog, before, flash, last
            counts = spool.counts()
            backlog = backlog.after(counts.pending + counts.salvage_left, time.monotonic())
            moment = Moment(clock.stamp(), time.monotonic(), __version__, begun, clock.synchronised)
            flash = flash.after(written(counts.commits), moment.stamp)
            before, last = seen_to(before, last, counts), counts
            said = describe(new, moment, counts, flush, sampler, running=running, backlog=backlog, before=before)
            said["spool"] |= flash.facts()
            return said

        def assemble(new: Config) -> Parts:
            how = parts.plan(new, root)
            clock = parts.clock(new, root)
            return Parts(
                ticks=ticks(new, root, clock, spool, wait=stop.wait),
                plan=how,
                limits=parts.limits(new),
                request_seconds=new.uplink.timeout_seconds,
                describe=lambda ticks, running: say(new, clock, ticks.sampler, running=running),
            )

        def reload(_: Parts) -> Parts | None:
            nonlocal current
            try:
                new = _load_beside(current, config_file)
                made = assemble(new)
            except ConfigError as error:
                log.error("new configuration refused, the old one stays", extra={"PROBLEMS": str(error)})  # noqa: TRY400
                return None
            current = new
            log.info("configuration reloaded", extra={"SENSORS": len(new.sensors)})
            return made

        service = Service(
            assemble(config),
            spool,
            flush,
            notifier=notifier,
            watchdog_seconds=watchdog_seconds(os.environ),
            write_status=status_file.write,
            reload=reload,
            stop=stop,
        )

        def answer(question: dict[str, Any], user: int) -> Iterator[dict[str, Any]]:
            return desk.answer(spool, question, may_change=user in {0, os.geteuid()}, wake=service.deliver_soon)

        control = Control(root / RUN_DIRECTORY, answer)
        control.start()
        try:
            service.run()
        finally:
            control.close()
    return 0


def _load_beside(current: Config, config_file: Path) -> Config:
    """The configuration as it is now; raises ConfigError too for what only a restart can change."""
    new = load(config_file)
    if new.spool.path != current.spool.path:
        raise ConfigError(
            f"spool.path: cannot change while running (got {new.spool.path!r})", hint="systemctl restart sensor-agent"
        )
    return new


def ticks(config: Config, root: Path, clock: Clock, spool: Spool, *, wait: Callable[[float], object]) -> Ticks:
    """The rounds of the configured sensors, with what the daemon before has said of their last hours."""
    probes = parts.probes(config, root, wait=wait)
    sampler = Sampler(probes, clock, monotonic=time.monotonic, trends=trends(_before(root), clock.stamp()))
    return Ticks(probes, sampler, spool, clock, monotonic=time.monotonic)


def _before(root: Path) -> dict[str, Any]:
    """What the daemon before (or this one before a reload) has said last; empty if nothing."""
    try:
        last = last_status(root)
    except (OSError, ValueError):
        return {}
    return last[0] if last else {}


def describe(
    config: Config,
    moment: Moment,
    counts: Counts,
    flush: Flush,
    sampler: Sampler,
    *,
    running: bool,
    backlog: Backlog | None = None,
    before: Counts | None = None,
) -> dict[str, Any]:
    """The status of these parts at that moment."""
    return snapshot(
        config,
        moment,
        health=dict(sampler.health),
        counts=counts,
        line=flush.line,
        delivered=flush.delivered,
        identity=flush.identity,
        running=running,
        backlog=backlog,
        before=before,
    )
