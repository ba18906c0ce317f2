"""What `status` says: the state of every part as one JSON object, and what is wrong with the command that mends it.

Pure: records in, a dictionary out. Times are UTC text; a value that is not there is None, never a stand-in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from agent.clock import Stamp
from agent.config import Config
from agent.delivery import Line, LineState
from agent.flush import Delivered
from agent.identity import Identity, IdentityState
from agent.issuers import can_renew
from agent.reading import utc_text
from agent.sampler import Health
from agent.spool import Counts

WARN_DAYS: Final = 30  # a certificate that ends sooner is worth a line
FULL: Final = 0.9  # of the spool's room


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on the three clocks: `stamp` of the clock, `monotonic` for the line's times, `version`, `since`."""

    stamp: Stamp
    monotonic: float
    version: str
    since: float
    clock_synchronised: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, the next command, and whether readings are at stake (`broken`) or only delayed."""

    what: str
    fix: str
    broken: bool = False


def snapshot(
    config: Config,
    moment: Moment,
    *,
    health: Mapping[str, Health],
    counts: Counts,
    line: Line,
    delivered: Delivered,
    identity: Identity,
    running: bool = True,
) -> dict[str, Any]:
    """The whole status, worst problem first."""
    able = can_renew(config.enroll.issuer, renew_url=config.enroll.renew_url)
    found = [
        *_sensor_problems(health),
        *_spool_problems(counts, config),
        *_line_problems(line, delivered, identity),
        *_identity_problems(identity, moment, able=able),
        *_clock_problems(counts, moment),
    ]
    found.sort(key=lambda problem: not problem.broken)
    return {
        "state": state_of(found) if running else "stopped",
        "version": moment.version,
        "since": utc_text(moment.since),
        "written": utc_text(moment.stamp.utc),
        "problems": [{"what": problem.what, "fix": problem.fix} for problem in found],
        "sensors": [
            _sensor(sensor.name, sensor.driver, health.get(sensor.name, Health()), moment) for sensor in config.sensors
        ],
        "spool": {
            "pending": counts.pending,
            "oldest": None if counts.oldest is None else utc_text(counts.oldest),
            "set_aside": counts.set_aside,
            "dropped": counts.dropped,
            "capacity": config.spool.max_readings,
            "durability": config.spool.durability,
            "state": counts.trouble or "ok",
        },
        "uplink": _uplink(line, delivered, moment),
        "clock": {"synchronised": moment.clock_synchronised, "held": counts.held},
        "identity": _identity(identity, moment) | {"can_renew": able},
    }


def state_of(problems: Sequence[Problem]) -> str:
    """The worst of the problems in one word."""
    if any(problem.broken for problem in problems):
        return "broken"
    return "degraded" if problems else "healthy"


def _sensor(name: str, driver: str, health: Health, moment: Moment) -> dict[str, Any]:
    good = health.last_good
    return {
        "sensor": name,
        "driver": driver,
        "celsius": health.celsius if health.error is None else None,
        "time": _utc(good, moment) if health.error is None else None,
        "failures": health.failures,
        "error": str(health.error) if health.error else None,
        "last_good": _utc(good, moment),
    }


def _utc(stamp: Stamp | None, moment: Moment) -> str | None:
    """By what the clock says now: a stamp taken before the clock was set is put right."""
    if stamp is None:
        return None
    return utc_text(moment.stamp.utc - moment.stamp.boot_seconds + stamp.boot_seconds)


def _uplink(line: Line, delivered: Delivered, moment: Moment) -> dict[str, Any]:
    def wall(monotonic: float) -> str:
        return utc_text(moment.stamp.utc - moment.monotonic + monotonic)

    waiting = moment.monotonic < line.not_before < float("inf")
    return {
        "state": line.state.value,
        "since": wall(line.since),
        "failures": line.failures,
        "last_ack": None if delivered.last_ack is None else utc_text(delivered.last_ack),
        "next_try": wall(line.not_before) if waiting and line.state is not LineState.ONLINE else None,
        "posted": delivered.posted,
        "acknowledged": delivered.acknowledged,
        "ambiguous": delivered.ambiguous,
        "last_status": delivered.last_status,
        "detail": delivered.detail or None,
    }


def _identity(identity: Identity, moment: Moment) -> dict[str, Any]:
    certificate = identity.certificate
    return {
        "state": identity.state.value,
        "name": certificate and certificate.name,
        "fingerprint_sha256": certificate and certificate.fingerprint_sha256,
        "not_after": certificate and utc_text(certificate.not_after.timestamp()),
        "days_left": certificate and certificate.days_left(_now(moment)),
        "renews_after": certificate and utc_text(certificate.renews_after.timestamp()),
    }


def _now(moment: Moment) -> datetime:
    return datetime.fromtimestamp(moment.stamp.utc, UTC)


def _sensor_problems(health: Mapping[str, Health]) -> list[Problem]:
    failing = {name: each for name, each in health.items() if each.error is not None}
    everything = len(failing) == len(health)
    return [
        Problem(
            f"sensor {name}: {each.error}",
            (each.error and each.error.hint) or f"sensor-agent read '{name}'",
            everything,
        )
        for name, each in failing.items()
    ]


def _spool_problems(counts: Counts, config: Config) -> list[Problem]:
    found = []
    directory = config.spool.path.rpartition("/")[0]
    if counts.trouble:
        found.append(Problem(f"spool: {counts.trouble}", f"df {directory}; findmnt -T {directory}", broken=True))
    if counts.dropped:
        found.append(
            Problem(f"spool: {counts.dropped} readings were dropped because it was full", "sensor-agent status")
        )
    elif counts.pending > FULL * config.spool.max_readings:
        share = counts.pending / config.spool.max_readings
        found.append(Problem(f"spool: {share:.0%} full", "sensor-agent check (why nothing leaves)"))
    return found


def _line_problems(line: Line, delivered: Delivered, identity: Identity) -> list[Problem]:
    match line.state:
        case LineState.BACKOFF:
            return [Problem(f"uplink: {delivered.detail}", "sensor-agent check")]
        case LineState.HOLD if identity.state is IdentityState.ACTIVE:
            what = f"uplink: this device is refused: {delivered.detail}"
            return [Problem(what, "is the certificate revoked? sensor-agent enroll --force", broken=True)]
        case LineState.MISDIRECTED:
            return [Problem(f"uplink: not the shield's answer: {delivered.detail}", "check uplink.url", broken=True)]
        case _:
            return []


def _identity_problems(identity: Identity, moment: Moment, *, able: bool) -> list[Problem]:
    if identity.state is not IdentityState.ACTIVE:
        missing = identity.state is IdentityState.MISSING
        return [
            Problem(
                f"identity: {identity.detail or 'not enrolled yet'}", identity.fix or "sensor-agent enroll", not missing
            )
        ]
    found = []
    says, now = identity.certificate, _now(moment)
    if says and says.renews_after <= now and says.days_left(now) < WARN_DAYS and moment.clock_synchronised:
        what = f"identity: the certificate expires in {says.days_left(now)} days"
        found.append(Problem(what, "sensor-agent renew" if able else "sensor-agent enroll --force"))
    if identity.moved:
        found.append(Problem(f"identity: another {identity.moved} than at enrollment", "sensor-agent renew"))
    return found


def _clock_problems(counts: Counts, moment: Moment) -> list[Problem]:
    if counts.held and not moment.stamp.trusted:
        return [Problem(f"clock: not synchronised, {counts.held} readings wait for it", "timedatectl status")]
    return []
