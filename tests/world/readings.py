"""Readings by the dozen, and spools to put them in."""

from pathlib import Path

from agent.reading import Reading
from agent.spool import Limits, Spool

START = 1_795_000_000  # a second in November 2026


def reading(number: int, sensor: str = "freezer") -> Reading:
    """The number-th reading of a sensor: a minute apart, a hundredth of a degree apart."""
    return Reading(sensor, -18_000 + number * 10, START + number * 60)


def readings(*numbers: int, sensor: str = "freezer") -> list[Reading]:
    """Several of them."""
    return [reading(number, sensor) for number in numbers]


def spool_in(directory: Path, limits: Limits | None = None, watermark: Path | None = None) -> Spool:
    """The directory's spool, opened; small, because growing one to working size takes 0.2 s."""
    small = Limits(max_readings=5000) if limits is None else limits
    return Spool(directory / "spool.db", limits=small, watermark=watermark)
