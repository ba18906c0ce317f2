"""What is wrong and what to do about it, worst first. Every state that the agent cannot leave by itself is named here.

Pure. A fix is the next command to type, or the configuration key to look at.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from agent.config import Config
from agent.delivery import Line, LineState
from agent.errors import ENROLL, RENEW
from agent.flush import Delivered
from agent.identity import Identity, IdentityState
from agent.reading import counted
from agent.record import dataclass, replace
from agent.sampler import Health
from agent.spool import Counts
from agent.status.moment import Moment

WARN_DAYS: Final = 30  # a certificate that ends sooner is worth a line
FULL: Final = 0.9  # of the spool's room
SINGLY: Final = 3  # sensors that fail for one reason and have a line each


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, the next command, and whether readings are at stake (`broken`) or only delayed."""

    what: str
    fix: str
    broken: bool = False


def state_of(problems: Sequence[Problem]) -> str:
    """The worst of the problems in one word."""
    if any(problem.broken for problem in problems):
        return "broken"
    return "degraded" if problems else "healthy"


def of_sensors(health: Mapping[str, Health]) -> list[Problem]:
    """Those that do not read, many of one reason together; nothing is measured when that is all of them."""
    failing = {name: each.error for name, each in health.items() if each.error is not None}
    everything = len(failing) == len(health)
    alike: dict[str, list[str]] = {}
    for name, error in failing.items():
        alike.setdefault(error.reason, []).append(name)
    found = []
    for reason, names in alike.items():
        if len(names) > SINGLY:
            what = f"sensors {', '.join(names[:SINGLY])} and {len(names) - SINGLY} more: {reason}"
            hints = {failing[name].hint for name in names}
            found.append(Problem(what, (len(hints) == 1 and hints.pop()) or "sensor-agent check", everything))
            continue
        for name in names:
            error = failing[name]
            found.append(Problem(f"sensor {name}: {error}", error.hint or f"sensor-agent read '{name}'", everything))
    return found


def of_configuration(config: Config, refused: Problem | None) -> list[Problem]:
    """The new one that a reload has refused, and one by which nothing is measured."""
    found = [refused] if refused else []
    if not config.sensors:
        found.append(Problem("no sensor is configured: nothing is measured", "sensor-agent probe", broken=True))
    return found


def of_spool(counts: Counts, config: Config, *, before: Counts | None) -> list[Problem]:
    """A disk that refuses, and what was dropped or set aside by this daemon: a restart says that it was seen."""
    found = []
    directory = config.spool.path.rpartition("/")[0]
    if counts.trouble:
        theirs = "belongs to user" in counts.trouble  # as the spool's opening tells it
        fix = f"sudo chown -R sensor-agent: {directory}" if theirs else f"df {directory}; findmnt -T {directory}"
        found.append(Problem(f"spool: {counts.trouble}", fix, broken=True))
    aside = counts.set_aside - (before.set_aside if before else 0)
    if aside > 0:
        what = f"spool: {counted(aside)} set aside until you retry or drop them"
        found.append(Problem(what, "sensor-agent spool set-aside list"))
    dropped = counts.dropped - (before.dropped if before else 0)
    if dropped > 0:
        what = f"spool: {counted(dropped)} dropped because it was full; told until the daemon is restarted"
        found.append(Problem(what, "sensor-agent history --gaps --since 52w", broken=True))
    if counts.damaged:
        what = f"spool: up to {counted(counts.damaged)} lost in a damaged file; told until the daemon is restarted"
        found.append(Problem(what, "sensor-agent history --gaps --since 52w", broken=True))
    if dropped <= 0 and counts.pending > FULL * config.spool.max_readings:
        share = counts.pending / config.spool.max_readings
        found.append(Problem(f"spool: {share:.0%} full", "sensor-agent check"))
    return found


def seen_to(before: Counts, last: Counts, now: Counts) -> Counts:
    """What is no news, after the owner has sent again or dropped what was set aside: dropping counts there as well."""
    gone = last.set_aside - now.set_aside
    if gone <= 0:
        return before
    dropped = before.dropped + min(gone, now.dropped - last.dropped)
    return replace(before, set_aside=min(before.set_aside, now.set_aside), dropped=dropped)


def of_line(line: Line, delivered: Delivered, identity: Identity) -> list[Problem]:
    """Why nothing is delivered, if it is not for want of a certificate."""
    match line.state:
        case LineState.BACKOFF:
            return [Problem(f"uplink: {delivered.detail}", "sensor-agent check")]
        case LineState.HOLD if identity.state is IdentityState.ACTIVE:
            what = f"uplink: this device is refused (is its certificate revoked?): {delivered.detail}"
            return [Problem(what, f"{ENROLL} --force", broken=True)]
        case LineState.MISDIRECTED:
            return [Problem(f"uplink: not the shield's answer: {delivered.detail}", "sensor-agent check", broken=True)]
        case _:
            return []


def of_identity(identity: Identity, moment: Moment, *, able: bool) -> list[Problem]:
    """A certificate that is missing, of no use, or ends soon; `able` says whether it renews by itself."""
    if identity.state is not IdentityState.ACTIVE:
        missing = identity.state is IdentityState.MISSING
        return [Problem(f"identity: {identity.detail or 'not enrolled yet'}", identity.fix or ENROLL, not missing)]
    found = []
    says, now = identity.certificate, moment.now
    if says and says.renews_after <= now and says.days_left(now) < WARN_DAYS and moment.clock_synchronised:
        what = f"identity: the certificate expires in {says.days_left(now)} days"
        found.append(Problem(what, RENEW if able else f"{ENROLL} --force"))
    if identity.moved:
        found.append(Problem(f"identity: another {identity.moved} than at enrollment", RENEW))
    return found


def of_clock(counts: Counts, moment: Moment) -> list[Problem]:
    """Readings that wait for the time of day."""
    if counts.held and not moment.stamp.trusted:
        return [Problem(f"clock: not synchronised, {counted(counts.held)} waiting for it", "timedatectl status")]
    return []
