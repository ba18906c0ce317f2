"""The state of every part as the one object that `status --json` promises; docs/status.md explains each key."""

from collections.abc import Mapping
from typing import Any

from agent.backlog import Backlog
from agent.config import Config, SensorConfig
from agent.delivery import Line, LineState
from agent.flush import Delivered
from agent.identity import Identity
from agent.issuers import can_renew
from agent.reading import utc_text
from agent.sampler import Health
from agent.spool import Counts
from agent.status.moment import Moment
from agent.status.problems import (
    Problem,
    of_clock,
    of_configuration,
    of_identity,
    of_line,
    of_sensors,
    of_spool,
    state_of,
)
from agent.trend import STEP_SECONDS


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
    backlog: Backlog | None = None,
    before: Counts | None = None,
    refused: Problem | None = None,
) -> dict[str, Any]:
    """The whole status, worst problem first; `before` is what the spool held when the daemon began, which is no news; the
    new configuration is `refused`.
    """
    able = can_renew(config.enroll.issuer, renew_url=config.enroll.renew_url)
    found = [
        *of_spool(counts, config, before=before),
        *of_line(line, delivered, identity),
        *of_identity(identity, moment, able=able),
        *of_clock(counts, moment),
        *of_configuration(config, refused),
        *of_sensors(health),
    ]
    found.sort(key=lambda problem: not problem.broken)
    return {
        "state": state_of(found) if running else "stopped",
        "version": moment.version,
        "since": utc_text(moment.since),
        "written": utc_text(moment.stamp.utc),
        "problems": [{"what": problem.what, "fix": problem.fix} for problem in found],
        "sensors": [_sensor(sensor, health.get(sensor.name, Health()), moment) for sensor in config.sensors],
        "spool": _spool(counts, config, backlog if line.state is LineState.ONLINE else None),
        "uplink": _uplink(line, delivered, moment),
        "clock": {"synchronised": moment.clock_synchronised, "held": counts.held},
        "identity": _identity(identity, moment) | {"can_renew": able},
    }


def _sensor(config: SensorConfig, health: Health, moment: Moment) -> dict[str, Any]:
    good, error = health.last_good, health.error
    return {
        "sensor": config.name,
        "driver": config.driver,
        "celsius": health.celsius if error is None else None,
        "time": moment.utc(good) if error is None else None,
        "interval_seconds": config.interval_seconds,
        "failures": health.failures,
        "failed": health.failed,
        "error": str(error) if error else None,
        "kind": error.kind if error else None,
        "last_good": moment.utc(good),
        "trend": {"step_seconds": STEP_SECONDS, "celsius": health.trend.points(moment.stamp.boot_seconds)},
    }


def _spool(counts: Counts, config: Config, draining: Backlog | None) -> dict[str, Any]:
    return {
        "pending": counts.pending,
        "oldest": None if counts.oldest is None else utc_text(counts.oldest),
        "set_aside": counts.set_aside,
        "dropped": counts.dropped,
        "capacity": config.spool.max_readings,
        "durability": config.spool.durability,
        "state": counts.trouble or "ok",
        "room_seconds": 0.0 if counts.trouble else room_seconds(counts.pending, config, counts.fits),
        "drained_seconds": draining and draining.seconds_left,
        "salvage_left": counts.salvage_left,
        "damaged": counts.damaged,
    }


def room_seconds(pending: int, config: Config, fits: int | None = None) -> float | None:
    """How long nothing need leave before something is dropped, at the configured intervals; None without sensors. The disk
    has room for `fits` more readings, as far as that is known.

    Report on change (`deadband_celsius`) may make it longer.
    """
    rate = sum(1 / sensor.interval_seconds for sensor in config.sensors)
    if not rate:
        return None
    room = max(0, config.spool.max_readings - pending)
    return min((room if fits is None else min(room, fits)) / rate, config.spool.max_age_days * 86_400.0)


def _uplink(line: Line, delivered: Delivered, moment: Moment) -> dict[str, Any]:
    waiting = moment.monotonic < line.not_before < float("inf")
    return {
        "state": line.state.value,
        "since": moment.wall(line.since),
        "failures": line.failures,
        "last_ack": None if delivered.last_ack is None else utc_text(delivered.last_ack),
        "next_try": moment.wall(line.not_before) if waiting and line.state is not LineState.ONLINE else None,
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
        "days_left": certificate and certificate.days_left(moment.now),
        "renews_after": certificate and utc_text(certificate.renews_after.timestamp()),
    }
