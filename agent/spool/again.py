"""Readings that are sent once more: retried ones that were refused, and a stretch of the past that was lost elsewhere.

They keep their numbers, so that key and body are the bytes of the first time, and they go when nothing else is
waiting. What is acknowledged is deleted by the next tick's commit; a process killed before it sends that again.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from agent.spool import table
from agent.spool.row import Row

AT_ONCE: Final = 8  # given out together, so that a new tick waits for no more than these


class Again:
    """`count` is how many are still to go, `left` the numbers that have gone and are still in the file."""

    def __init__(self) -> None:
        self.count = 0
        self.left: set[int] = set()

    def recount(self, db: sqlite3.Connection) -> None:
        """Count what is in the file."""
        self.left &= {seq for seq in self.left if db.execute("SELECT 1 FROM again WHERE seq = ?", (seq,)).fetchone()}
        self.count = db.execute("SELECT count(*) FROM again").fetchone()[0] - len(self.left)

    def oldest(self, db: sqlite3.Connection, limit: int) -> list[Row]:
        """The first that are still to go, at most `limit`, lowest number first."""
        limit = min(limit, AT_ONCE)
        rows = table.each(db, "true ORDER BY seq LIMIT ?", limit + len(self.left), source="again")
        return [row for row in rows if row.seq not in self.left][:limit]

    def find(self, db: sqlite3.Connection, seq: int) -> list[Row]:
        """The one row of that number, if it is still to go."""
        if not self.count or seq in self.left:
            return []
        return list(table.each(db, "seq = ?", seq, source="again"))

    def leave(self, seqs: Iterable[int]) -> None:
        """Count these out; the next commit deletes them."""
        new = set(seqs) - self.left
        self.left |= new
        self.count -= len(new)

    def delete_left(self, db: sqlite3.Connection) -> None:
        """Remove from the file what has gone."""
        db.executemany("DELETE FROM again WHERE seq = ?", [(seq,) for seq in self.left])


def add(db: sqlite3.Connection, rows: Sequence[Row], *, sensor_ids: Mapping[str, int]) -> int:
    """Put rows among those to be sent once more; gives how many were not there yet."""
    db.executemany("INSERT OR IGNORE INTO sensor(name, id) VALUES (?, ?)", sensor_ids.items())
    before = db.total_changes
    db.executemany(
        "INSERT OR IGNORE INTO again(seq, sensor, seconds, milli, boot, crc) VALUES (?, ?, ?, ?, ?, ?)",
        [(row.seq, sensor_ids[row.sensor], row.seconds, row.milli, row.boot, row.crc) for row in rows],
    )
    return db.total_changes - before
