"""What leaves when the spool is full: by age, then by count; every reading that leaves here is counted."""

import sqlite3
from typing import Final

from agent.ledger import Cause, Gap
from agent.record import dataclass, field

LIVE: Final = "seq > :floor"
ALL: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Limits:
    """`window_seconds` is how long a reading may wait in memory for its commit (0: committed on return)."""

    max_readings: int = 300_000
    max_age_seconds: float = 365 * 86_400.0
    thin: bool = False
    window_seconds: float = 0.0


@dataclass(slots=True)
class Dropped:
    """How many readings went, and whose they were."""

    count: int = 0
    gaps: list[Gap] = field(default_factory=list)


def keep(
    db: sqlite3.Connection,
    dropped: Dropped,
    limits: Limits,
    *,
    floor: int,
    pending: int,
    utc: float | None,
    most: int = ALL,
) -> None:
    """Delete what lies beyond the limits, of `pending` readings above the floor, `most` of them unless thinned.

    What is `dropped` already is of both. The age limit needs `utc`, the current second.
    """
    if utc is not None:
        before = int(utc - limits.max_age_seconds)
        too_old(db, dropped, floor=floor, before=before, most=most - dropped.count)
    if limits.thin and pending - dropped.count > limits.max_readings:
        thin(db, dropped, floor=floor, pending=pending - dropped.count)
    excess = min(pending - limits.max_readings, most) - dropped.count
    if excess > 0:
        too_many(db, dropped, floor=floor, excess=excess)


def too_old(db: sqlite3.Connection, dropped: Dropped, *, floor: int, before: int, most: int = ALL) -> None:
    """Delete the readings stamped before that UTC second. One index look when there are none."""
    oldest = db.execute(
        f"SELECT seconds, boot FROM reading WHERE {LIVE} ORDER BY seq LIMIT 1", {"floor": floor}
    ).fetchone()
    if oldest is not None and not oldest[1] and oldest[0] < before:
        old = "boot = 0 AND seconds < :before"
        _delete(db, dropped, f"{old} AND {_oldest(old)}", {"floor": floor, "before": before, "most": most})


def too_many(db: sqlite3.Connection, dropped: Dropped, *, floor: int, excess: int) -> None:
    """Delete the `excess` oldest readings."""
    _delete(db, dropped, _oldest("TRUE"), {"floor": floor, "most": excess})


def thin(db: sqlite3.Connection, dropped: Dropped, *, floor: int, pending: int) -> None:
    """Delete every second reading of each sensor in the older half, so that an outage keeps its shape."""
    where = (
        "seq IN (SELECT seq FROM (SELECT seq, row_number() OVER"
        f" (PARTITION BY sensor ORDER BY seq) AS place FROM reading WHERE {LIVE} AND seq <="
        f" (SELECT seq FROM reading WHERE {LIVE} ORDER BY seq LIMIT 1 OFFSET :half)) WHERE place % 2 = 0)"
    )
    _delete(db, dropped, where, {"floor": floor, "half": max(pending // 2 - 1, 0)})


def _oldest(which: str) -> str:
    """The condition of the `:most` oldest readings of those."""
    return f"seq <= (SELECT max(seq) FROM (SELECT seq FROM reading WHERE {LIVE} AND {which} ORDER BY seq LIMIT :most))"


def _delete(db: sqlite3.Connection, dropped: Dropped, where: str, values: dict[str, int]) -> None:
    """Delete, and note whose readings and of when they were; held ones have no time and count as the others' latest."""
    whose = db.execute(
        "SELECT coalesce((SELECT name FROM sensor WHERE id = sensor), ''), min(CASE boot WHEN 0 THEN seconds END),"
        f" max(CASE boot WHEN 0 THEN seconds END), count(*) FROM reading WHERE {LIVE} AND {where} GROUP BY sensor",
        values,
    ).fetchall()
    latest = db.execute("SELECT last_seconds FROM state").fetchone()[0]
    dropped.gaps += [
        Gap(sensor, latest if since is None else since, latest if until is None else until, count, Cause.SPOOL_FULL)
        for sensor, since, until, count in whose
    ]
    dropped.count += db.execute(f"DELETE FROM reading WHERE {LIVE} AND {where}", values).rowcount
