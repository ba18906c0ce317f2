"""The ledger's table: an entry grows while misses of its cause go on, and the oldest leave when there are too many."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from agent.ledger import CLOSE_SECONDS, Cause, Gap
from agent.spool.row import Row

ENTRIES: Final = 1_000  # about 60 KB


def write(db: sqlite3.Connection, gaps: Iterable[Gap]) -> None:
    """Add the gaps, each to the latest entry of its sensor and cause if it is close."""
    added = False
    for gap in gaps:
        row = (gap.sensor, gap.since, gap.until, gap.count, gap.cause.value)
        grown = db.execute(
            "UPDATE gap SET since = min(since, ?2), until = max(until, ?3), count = count + ?4 WHERE"
            " id = (SELECT max(id) FROM gap WHERE sensor = ?1 AND cause = ?5)"
            f" AND ?2 <= until + {CLOSE_SECONDS} AND ?3 >= since - {CLOSE_SECONDS}",
            row,
        ).rowcount
        if not grown and gap.count:
            db.execute("INSERT INTO gap(sensor, since, until, count, cause) VALUES (?, ?, ?, ?, ?)", row)
            added = True
    if added:
        db.execute("DELETE FROM gap WHERE id <= (SELECT max(id) FROM gap) - ?", (ENTRIES,))


def read(db: sqlite3.Connection) -> list[Gap]:
    """All entries, in the order of their beginnings."""
    rows = db.execute("SELECT sensor, since, until, count, cause FROM gap ORDER BY since, id")
    return [Gap(sensor, since, until, count, Cause(cause)) for sensor, since, until, count, cause in rows]


def of_lost(count: int, names: Sequence[str], *, since: int, until: int) -> list[Gap]:
    """So many readings of which nothing is left, as misses of these sensors in equal shares: whose they were, is lost."""
    shares = [count // len(names) + (place < count % len(names)) for place in range(len(names))] if names else []
    return [
        Gap(name, since, until, share, Cause.DAMAGED)
        for name, share in zip(names, shares, strict=True)
        if share or not count
    ]


def of_rows(rows: Sequence[Row], cause: Cause, *, otherwise: int) -> list[Gap]:
    """The readings in these rows as misses; held ones, whose time is not known, by the second `otherwise`."""
    seconds = [(row.sensor, otherwise if row.boot else row.seconds) for row in rows]
    return [Gap(sensor, second, second, 1, cause) for sensor, second in seconds]
