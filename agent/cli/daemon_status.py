"""What the daemon says of itself: its parts as they are now, and what only a comparison with before can tell."""

import time
from typing import Any

from agent import __version__
from agent.backlog import Backlog
from agent.clock import Clock
from agent.config import Config
from agent.flash import Flash, written
from agent.flush import Flush
from agent.sampler import Sampler
from agent.spool import Counts, Spool
from agent.status import Moment, Problem, seen_to, snapshot


class DaemonStatus:
    """Remembers how the backlog goes, what was written to flash, and what the spool held when the process began, which
    is no news. For one thread at a time.
    """

    def __init__(self, spool: Spool, flush: Flush, flash: Flash) -> None:
        self._spool, self._flush = spool, flush
        self.refused: Problem | None = None  # the new configuration, since the latest reload
        self._begun = time.time()
        self._no_news = self._last = spool.counts()
        self._backlog, self._flash = Backlog(), flash

    def now(self, config: Config, clock: Clock, sampler: Sampler, *, running: bool) -> dict[str, Any]:
        """The status at this moment, by that configuration and what was made of it."""
        counts, moment = self._spool.counts(), moment_of(clock, self._begun)
        self._backlog = self._backlog.after(counts.pending + counts.salvage_left, moment.monotonic)
        self._flash = self._flash.after(written(counts.commits), moment.stamp)
        self._no_news, self._last = seen_to(self._no_news, self._last, counts), counts
        said = describe(
            config,
            moment,
            counts,
            self._flush,
            sampler,
            running=running,
            backlog=self._backlog,
            before=self._no_news,
            refused=self.refused,
        )
        said["spool"] |= self._flash.facts()
        return said


def moment_of(clock: Clock, begun: float) -> Moment:
    """This moment of a process that began at that UTC second."""
    return Moment(clock.stamp(), time.monotonic(), __version__, begun, clock.synchronised)


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
    refused: Problem | None = None,
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
        refused=refused,
    )
