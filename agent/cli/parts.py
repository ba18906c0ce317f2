"""Where a configuration becomes parts: what is made of it alone. `daemon` makes the rest of them."""

import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent import identity, reading
from agent.clock import Clock
from agent.config import Config
from agent.delivery import Backoff
from agent.device import board, device_name
from agent.flush import Flush, Plan
from agent.sensors import Wait
from agent.spool import Limits, Spool, Spooled
from agent.status_file import RUN_DIRECTORY
from agent.uplink import LateUplink, Target

if TYPE_CHECKING:
    from agent.sampler import Probe
    from agent.uplink import Uplink


def utc_now() -> datetime:
    """This instant, for what certificates say."""
    return datetime.now(UTC)


def clock(config: Config, root: Path) -> Clock:
    """The clock that stamps readings."""
    return Clock(root, trust_any=config.clock.unsynchronised == "send")


def probes(config: Config, root: Path, *, wait: Wait) -> "list[Probe]":
    """The configured sensors with their drivers; `wait` is what a conversion waits with."""
    from agent.sensors.drivers import open_all

    return open_all(config.sensors, root=root, wait=wait)


def limits(config: Config) -> Limits:
    """What bounds the spool."""
    return Limits(
        max_readings=config.spool.max_readings,
        max_age_seconds=config.spool.max_age_days * 86_400.0,
        thin=config.spool.drop == "thin",
        window_seconds=config.spool.window_seconds,
    )


def spool(config: Config, root: Path) -> Spool:
    """The spool, opened for this process alone; its watermark is in the run directory."""
    return Spool(Path(config.spool.path), limits=limits(config), watermark=root / RUN_DIRECTORY / "watermark")


def target(config: Config) -> Target:
    """Where the uplink goes."""
    uplink = config.uplink
    return Target(uplink.url, uplink.ca_file, uplink.timeout_seconds, uplink.accept_status, uplink.proxy)


def identity_files(config: Config) -> tuple[str, str]:
    """The certificate and key files in force: systemd's credentials, else the configured ones."""
    return identity.paths(config.identity.cert_file, config.identity.key_file, os.environ)


def _uplink(where: Target, pair: tuple[str, str]) -> "Uplink":
    from agent.uplink import Uplink

    return Uplink(where, pair)


def backoff(config: Config) -> Backoff:
    """When to try again, and how fast a backlog leaves: in single POSTs a sensor's reading is a request."""
    usual = sum(1 / sensor.interval_seconds for sensor in config.sensors)  # requests a second
    often = config.uplink.catch_up * usual
    return Backoff(
        cap=config.uplink.max_backoff_seconds,
        pace=config.uplink.min_interval_seconds,
        catch_up=1 / often if often else 0.0,
    )


def plan(config: Config, root: Path) -> Plan:
    """How to deliver."""
    device = device_name(config.device.name, root)
    where = target(config)
    wanted = config.uplink.extra_fields

    def body(spooled: Spooled) -> bytes:
        fields: dict[str, str | int] = {"sensor": spooled.reading.sensor, "device": device, "seq": spooled.seq}
        extra = {name: fields[name] for name in wanted}
        return reading.body(spooled.reading, temperature_as=config.uplink.temperature_as, extra=extra)

    return Plan(
        connect=lambda pair: LateUplink(lambda: _uplink(where, pair)),
        files=lambda: identity_files(config),
        body=body,
        key=lambda seq: f"{device}-{seq}",
        backoff=backoff(config),
        live_first=config.uplink.live_first,
        here=board(root),
    )


def flush(opened: Spool, how: Plan, *, jitter: Callable[[], float] = random.random) -> Flush:
    """The way from the spool to the shield."""
    return Flush(opened, how, monotonic=time.monotonic, wall=time.time, jitter=jitter)
