"""What a spool is put through while its writes are recorded, and from which files each life begins."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from world.readings import readings, spool_in

from agent.spool import Limits, Spool

ROOM = 150  # readings; the oldest have to leave several times

# says what it believes to be safe, line by line; reading number n has the sequence number n + 1
WORK = """
import os, sys
from pathlib import Path
from agent.spool import Limits, Spool
from world.readings import readings
path, number, lives = Path(sys.argv[1]) / "spool.db", int(sys.argv[2]), int(sys.argv[3])

def say(word, *seqs):
    os.write(1, " ".join([word, *map(str, seqs)]).encode() + b"\\n")

def tick():
    global number
    seqs = range(number + 1, number + 9)
    say("taking", *seqs)
    if (excess := spool.counts().pending + 8 - 150) > 0:
        say("leaving", *(spooled.seq for spooled in spool.head(excess)))
    spool.append(readings(*range(number, number + 8)))
    if spool.counts().trouble:
        os._exit(1)  # in memory only
    say("stored", *seqs)
    number += 8

for life in range(lives):
    spool = Spool(path, limits=Limits(max_readings=150))
    for round in range(20):
        tick()
        for spooled in spool.head(7):
            say("leaving", spooled.seq)
            spool.ack(spooled.seq)
        if round % 7 == 6:
            [spooled] = spool.head(1)
            say("refused", spooled.seq)
            spool.set_aside(spooled.seq, status=400, reason="no")
            say("aside", spooled.seq)
    for round in range(20):
        tick()
    spool.close()
    say("closed")
"""

# the same, by a SQLite that was told something else than what the spool says to it
OTHERWISE = """
import sqlite3
class Otherwise(sqlite3.Connection):
    def execute(self, sql, *values):
        return super().execute({said!r}.get(sql, sql), *values)
connect = sqlite3.connect
def otherwise(path, *arguments, **options):
    return connect(str(path).replace({psow!r}, "psow=1"), *arguments, factory=Otherwise, **options)
sqlite3.connect = otherwise
"""

NORMAL = {"PRAGMA synchronous=FULL": "PRAGMA synchronous=NORMAL"}
SQLITE_DEFAULTS = {
    "PRAGMA journal_mode=WAL": "PRAGMA journal_mode=DELETE",
    "PRAGMA journal_mode=PERSIST": "PRAGMA journal_mode=DELETE",
    "PRAGMA locking_mode=EXCLUSIVE": "PRAGMA locking_mode=NORMAL",
}
SETTINGS = {
    "ours": "",
    "synchronous=NORMAL": OTHERWISE.format(said=NORMAL, psow="as it is"),
    "SQLite's default journal": OTHERWISE.format(said=SQLITE_DEFAULTS, psow="as it is"),
    "psow=1": OTHERWISE.format(said={}, psow="psow=0"),
}


@dataclass(frozen=True, slots=True)
class Beginning:
    """The pending readings' numbers and how many are set aside in the files that a life begins with."""

    pending: frozenset[int] = frozenset()
    set_aside: int = 0
    damaged: bool = False


def nothing(directory: Path) -> Beginning:
    """No file."""
    del directory
    return Beginning()


def version_1(directory: Path) -> Beginning:
    """A spool as the schema before this one had it."""
    begun = _used(directory)
    with closing(sqlite3.connect(directory / "spool.db", isolation_level=None)) as db:
        for sql in ("DROP TABLE gap", "DROP TABLE salvage", "ALTER TABLE state DROP COLUMN boot_id"):
            db.execute(sql)
        db.execute("PRAGMA user_version=1")
    return begun


def damaged(directory: Path) -> Beginning:
    """A spool with a page of noise, which does not cost a reading but is met at the start."""
    begun = _used(directory)
    with closing(sqlite3.connect(directory / "spool.db")) as db:
        [page] = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'boot'").fetchone()
    with (directory / "spool.db").open("r+b") as file:
        file.seek((page - 1) * 512)
        file.write(b"\xa5" * 512)
    return Beginning(begun.pending, begun.set_aside, damaged=True)


BEGINNINGS: dict[str, Callable[[Path], Beginning]] = {
    "from nothing": nothing,
    "migration": version_1,
    "quarantine": damaged,
}
FIRST = {"from nothing": 0, "migration": 100, "quarantine": 100}


def _used(directory: Path) -> Beginning:
    with spool_in(directory, Limits(max_readings=ROOM)) as spool:
        spool.append(readings(*range(100)))
        spool.set_aside(1, status=400, reason="no")
    with Spool(directory / "spool.db") as spool:
        return Beginning(frozenset(spooled.seq for spooled in spool.head(200)), spool.counts().set_aside)
