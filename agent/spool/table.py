"""The SQL on the spool's tables, but for the bounds. Each function is given a connection and keeps nothing."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from agent.record import dataclass
from agent.spool.row import Row


@dataclass(frozen=True, slots=True)
class State:
    """What the spool knows beside its readings: numbers below `next_seq` may have been given out.

    `boot_id` is the boot in which it was last written to, empty when that is not known.
    """

    spool_id: int
    next_seq: int = 1
    last_seconds: int = 0
    dropped: int = 0
    boot_id: str = ""


def state(db: sqlite3.Connection) -> State:
    """The state of the file; raises sqlite3.DatabaseError if it has none."""
    row = db.execute("SELECT spool_id, next_seq, last_seconds, dropped, boot_id FROM state").fetchone()
    if row is None:
        raise sqlite3.DatabaseError("the table `state` is empty")
    return State(*row)


def write_state(db: sqlite3.Connection, new: State) -> None:
    """Replace the state."""
    values = (new.spool_id, new.next_seq, new.last_seconds, new.dropped, new.boot_id)
    every = "?1, ?2, ?3, ?4, ?5, coalesce((SELECT min(seq) FROM reading), ?2), coalesce((SELECT max(seq) FROM reading), ?2 - 1)"
    names = "spool_id, next_seq, last_seconds, dropped, boot_id, first_seq, last_seq"
    if db.execute(f"UPDATE state SET ({names}) = ({every})", values).rowcount == 0:
        db.execute(f"INSERT INTO state({names}) VALUES ({every})", values)


def sensors(db: sqlite3.Connection) -> dict[str, int]:
    """Number of each sensor's name."""
    return dict(db.execute("SELECT name, id FROM sensor"))


def boots(db: sqlite3.Connection) -> dict[str, int]:
    """Number of each boot that held readings."""
    return dict(db.execute("SELECT boot_id, id FROM boot"))


def totals(db: sqlite3.Connection, *, floor: int) -> tuple[int, int, int]:
    """How many readings lie above the floor, how many of them are held, and how many were set aside.

    Walks the whole table: 20 ms for a million.
    """
    pending, held = db.execute(
        "SELECT count(*), coalesce(sum(boot != 0), 0) FROM reading WHERE seq > ?", (floor,)
    ).fetchone()
    return pending, held, db.execute("SELECT count(*) FROM set_aside").fetchone()[0]


def rows(db: sqlite3.Connection, where: str, *values: object) -> list[Row]:
    """The rows that meet the condition (and order, and limit)."""
    return list(each(db, where, *values))


def each(db: sqlite3.Connection, where: str, *values: object, source: str = "reading") -> Iterator[Row]:
    """The same one by one, of the table `reading` or of one like it; nothing may be written meanwhile."""
    sql = (
        "SELECT seq, coalesce((SELECT name FROM sensor WHERE id = sensor), ''), seconds, milli, boot, crc"
        f" FROM {source} WHERE {where}"
    )
    return (Row(*row) for row in db.execute(sql, values))


def insert(
    db: sqlite3.Connection, new: Iterable[Row], *, sensor_ids: Mapping[str, int], boot_ids: Mapping[str, int]
) -> None:
    """Add rows, and the names they need: all names each time, for a commit that failed has taken its own back."""
    db.executemany("INSERT OR IGNORE INTO sensor(name, id) VALUES (?, ?)", sensor_ids.items())
    db.executemany("INSERT OR IGNORE INTO boot(boot_id, id) VALUES (?, ?)", boot_ids.items())
    db.executemany(
        "INSERT INTO reading(seq, sensor, seconds, milli, boot, crc) VALUES (?, ?, ?, ?, ?, ?)",
        [(row.seq, sensor_ids[row.sensor], row.seconds, row.milli, row.boot, row.crc) for row in new],
    )


def restore(db: sqlite3.Connection, raw: Sequence[tuple[int, ...]]) -> int:
    """Add rows as they were read from another file; gives how many were not there yet."""
    before = db.total_changes
    db.executemany(
        "INSERT OR IGNORE INTO reading(seq, sensor, seconds, milli, boot, crc) VALUES (?, ?, ?, ?, ?, ?)", raw
    )
    return db.total_changes - before


def restamp(db: sqlite3.Connection, stamped: Sequence[Row]) -> None:
    """Give held rows their UTC second."""
    db.executemany(
        "UPDATE reading SET seconds = ?, boot = 0, crc = ? WHERE seq = ?",
        [(row.seconds, row.crc, row.seq) for row in stamped],
    )


def delete(db: sqlite3.Connection, *, floor: int, above: Iterable[int]) -> None:
    """Remove what has left: everything up to the floor, and these numbers above it."""
    db.execute("DELETE FROM reading WHERE seq <= ?", (floor,))
    db.executemany("DELETE FROM reading WHERE seq = ?", [(seq,) for seq in above])


def set_aside(db: sqlite3.Connection, moved: Sequence[Row], *, status: int | None, reason: str, keep: int) -> int:
    """Move rows to `set_aside`, of which the newest `keep` stay; gives how many had to go for them."""
    db.executemany(
        "INSERT OR REPLACE INTO set_aside(seq, sensor, seconds, milli, boot, status, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(row.seq, row.sensor, row.seconds, row.milli, row.boot, status, reason) for row in moved],
    )
    delete(db, floor=0, above=[row.seq for row in moved])
    return db.execute(
        "DELETE FROM set_aside WHERE seq <= (SELECT seq FROM set_aside ORDER BY seq DESC LIMIT 1 OFFSET ?)", (keep,)
    ).rowcount
