"""The spool's tables, and the steps that lead an older file to them: each step is one commit, whole or not at all."""

import sqlite3
from typing import Final

APPLICATION_ID: Final = 0x53507631  # "SPv1", at byte 68 of the file
SCHEMA_VERSION: Final = 2

GAP: Final = (
    "CREATE TABLE gap(id INTEGER PRIMARY KEY, sensor TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,"
    " count INTEGER NOT NULL, cause TEXT NOT NULL) STRICT"
)
# numbers that are still to be taken from a damaged file, lowest first
SALVAGE: Final = "CREATE TABLE salvage(low INTEGER PRIMARY KEY, high INTEGER NOT NULL, file INTEGER NOT NULL) STRICT"
# beside the version on purpose: an older agent opens a file that has them, and sends what it knows of
PAST: Final = (
    "CREATE TABLE IF NOT EXISTS past(id INTEGER PRIMARY KEY, age INTEGER NOT NULL, since INTEGER NOT NULL,"
    " until INTEGER NOT NULL, count INTEGER NOT NULL, body BLOB NOT NULL) STRICT"
)
# readings to be sent once more under their own numbers, which are of the past
AGAIN: Final = (
    "CREATE TABLE IF NOT EXISTS again(seq INTEGER PRIMARY KEY, sensor INTEGER NOT NULL, seconds INTEGER NOT NULL,"
    " milli INTEGER NOT NULL, boot INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT"
)
# the lowest and the highest number in `reading` at the last commit: what a damaged file still tells of its lost ends
ENDS: Final = ("first_seq INTEGER NOT NULL DEFAULT 1", "last_seq INTEGER NOT NULL DEFAULT -1")
# what each tick changes comes first: psow=0 writes the eight pages of a 4 KiB block together, and these share one
SCHEMA: Final = f"""
CREATE TABLE reading(seq INTEGER PRIMARY KEY, sensor INTEGER NOT NULL, seconds INTEGER NOT NULL,
                     milli INTEGER NOT NULL, boot INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE TABLE state(spool_id INTEGER NOT NULL, next_seq INTEGER NOT NULL, last_seconds INTEGER NOT NULL,
                   dropped INTEGER NOT NULL, boot_id TEXT NOT NULL DEFAULT '', {", ".join(ENDS)}) STRICT;
{GAP};
CREATE TABLE sensor(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE boot(id INTEGER PRIMARY KEY, boot_id TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE set_aside(seq INTEGER PRIMARY KEY, sensor TEXT NOT NULL, seconds INTEGER NOT NULL, milli INTEGER NOT NULL,
                       boot INTEGER NOT NULL, status INTEGER, reason TEXT NOT NULL) STRICT;
{SALVAGE};
{PAST};
{AGAIN};
"""

STEPS: Final = {1: ("ALTER TABLE state ADD COLUMN boot_id TEXT NOT NULL DEFAULT ''", GAP, SALVAGE)}


def migrate(db: sqlite3.Connection) -> None:
    """Bring an older file's tables up to date; raises sqlite3.Error, and then the file is as it was."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    for step in range(version, SCHEMA_VERSION):
        db.execute("BEGIN IMMEDIATE")
        try:
            for sql in STEPS.get(step, ()):
                db.execute(sql)
            db.execute(f"PRAGMA user_version={step + 1}")
            db.execute("COMMIT")
        except sqlite3.Error:
            db.rollback()
            raise
    for table in (PAST, AGAIN):
        db.execute(table)  # writes nothing where it is there
    there = {name for (name,) in db.execute("SELECT name FROM pragma_table_info('state')")}
    for column in ENDS:
        if column.split()[0] not in there:
            db.execute(f"ALTER TABLE state ADD COLUMN {column}")
