"""What leaves when the spool is full: by age, then by count; every reading that leaves here is counted."""

import sqlite3
from dataclasses import dataclass
from typing import Final

LIVE: Final = "seq > :floor"


@dataclass(frozen=True, slots=True)
class Limits:
    """`window_seconds` is how long a reading may wait in memory for its commit (0: committed on return)."""

    max_readings: int = 300_000
    max_age_seconds: float = 365 * 86_400.0
    thin: bool = False
    window_seconds: float = 0.0


def keep(db: sqlite3.Connection, limits: Limits, *, floor: int, pending: int, utc: float | None) -> int:
    """Delete what lies beyond the limits, of `pending` readings above the floor; gives how many went.

    The age limit needs `utc`, the current second.
    """
    dropped = 0
    if utc is not None:
        dropped = too_old(db, floor=floor, before=int(utc - limits.max_age_seconds))
    if limits.thin and pending - dropped > limits.max_readings:
        dropped += thin(db, floor=floor, pending=pending - dropped)
    excess = pending - dropped - limits.max_readings
    if excess > 0:
        dropped += too_many(db, floor=floor, excess=excess)
    return dropped


def too_old(db: sqlite3.Connection, *, floor: int, before: int) -> int:
    """Delete the readings stamped before that UTC second; gives how many. One index look when there are none."""
    oldest = db.execute(
        f"SELECT seconds, boot FROM reading WHERE {LIVE} ORDER BY seq LIMIT 1", {"floor": floor}
    ).fetchone()
    if oldest is None or oldest[1] or oldest[0] >= before:
        return 0
    sql = f"DELETE FROM reading WHERE {LIVE} AND boot = 0 AND seconds < :before"
    return db.execute(sql, {"floor": floor, "before": before}).rowcount


def too_many(db: sqlite3.Connection, *, floor: int, excess: int) -> int:
    """Delete the `excess` oldest readings; gives how many went."""
    sql = (
        f"DELETE FROM reading WHERE {LIVE} AND seq <= "
        f"(SELECT max(seq) FROM (SELECT seq FROM reading WHERE {LIVE} ORDER BY seq LIMIT :excess))"
    )
    return db.execute(sql, {"floor": floor, "excess": excess}).rowcount


def thin(db: sqlite3.Connection, *, floor: int, pending: int) -> int:
    """Delete every second reading of each sensor in the older half, so that an outage keeps its shape."""
    sql = (
        f"DELETE FROM reading WHERE {LIVE} AND seq IN (SELECT seq FROM (SELECT seq, row_number() OVER"
        f" (PARTITION BY sensor ORDER BY seq) AS place FROM reading WHERE {LIVE} AND seq <="
        f" (SELECT seq FROM reading WHERE {LIVE} ORDER BY seq LIMIT 1 OFFSET :half)) WHERE place % 2 = 0)"
    )
    return db.execute(sql, {"floor": floor, "half": max(pending // 2 - 1, 0)}).rowcount
