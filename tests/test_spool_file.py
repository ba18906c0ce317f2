"""The spool's file: made whole, kept private, and nothing of anybody else's is ever touched."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from world.readings import readings, spool_in

from agent.errors import ForeignSpool
from agent.spool.schema import APPLICATION_ID, SCHEMA_VERSION
from agent.spool.store import WAL_BYTES


def somebody_elses_database(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE photos(id INTEGER)")
    db.execute("INSERT INTO photos VALUES (1)")
    db.commit()
    db.close()


def newer_spool(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA application_id={APPLICATION_ID}")
    db.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    db.execute("CREATE TABLE future(id INTEGER)")
    db.commit()
    db.close()


FOREIGN = {
    "a database of somebody else": somebody_elses_database,
    "a spool of a newer version": newer_spool,
    "a text file": lambda path: path.write_text("temperature: 21\n" * 100),
    "an empty file": lambda path: path.touch(),
    "a short file": lambda path: path.write_bytes(b"SQLite format 3\0"),
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN)
def test_a_file_that_is_no_spool_is_refused_unchanged(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "spool.db")
    before = (tmp_path / "spool.db").read_bytes()
    with pytest.raises(ForeignSpool, match="was not touched") as raised:
        spool_in(tmp_path)
    assert raised.value.exit_code == 78
    assert (tmp_path / "spool.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["spool.db"]


def test_a_directory_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spool.db").mkdir()
    with pytest.raises(ForeignSpool, match="Is a directory"):
        spool_in(tmp_path)


def test_a_link_to_a_disk_that_is_not_mounted_is_named_and_stays(tmp_path: Path) -> None:
    (tmp_path / "spool.db").symlink_to(tmp_path / "absent" / "spool.db")
    with spool_in(tmp_path) as spool:
        spool.append(readings(1))
        assert "cannot be opened" in spool.counts().trouble
        assert not (tmp_path / "absent").exists()
        (tmp_path / "absent").mkdir()
        with spool_in(tmp_path / "absent"):
            pass
        spool.append(readings(2))
        assert spool.counts().trouble == ""
    with spool_in(tmp_path / "absent") as spool:
        assert [spooled.reading for spooled in spool.head()] == readings(1, 2)


def test_the_directory_is_made(tmp_path: Path) -> None:
    spool_in(tmp_path / "var" / "lib").close()
    assert (tmp_path / "var" / "lib" / "spool.db").exists()


def test_others_cannot_read_it(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1))
        modes = {path.name: path.stat().st_mode & 0o077 for path in tmp_path.iterdir()}
    assert modes == {"spool.db": 0, "spool.db-wal": 0}


def test_a_wal_whose_database_was_removed_is_not_replayed_into_a_new_one(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1))
        old = (tmp_path / "spool.db-wal").read_bytes()
    (tmp_path / "spool.db").unlink()
    (tmp_path / "spool.db-wal").write_bytes(old)
    with spool_in(tmp_path) as spool:
        assert spool.counts().pending == 0


def test_a_half_made_file_of_an_earlier_try_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "spool.db.new").write_bytes(b"half")
    spool_in(tmp_path).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spool.db", "spool.db-wal"]


def test_the_wal_outlives_a_stop_at_its_size_and_empty(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1))
        size = (tmp_path / "spool.db-wal").stat().st_size
    assert (tmp_path / "spool.db-wal").stat().st_size == size
    (tmp_path / "spool.db-wal").unlink()  # all is in the file: the WAL has nothing to add
    with spool_in(tmp_path) as spool:
        assert spool.counts().pending == 1


def test_a_start_writes_nothing_to_a_spool_of_full_size(tmp_path: Path) -> None:
    spool_in(tmp_path).close()
    before = (tmp_path / "spool.db").read_bytes()
    spool_in(tmp_path).close()
    assert (tmp_path / "spool.db").read_bytes() == before
    assert (tmp_path / "spool.db-wal").stat().st_size >= WAL_BYTES


def test_there_is_no_shared_memory_file(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1))
        assert not (tmp_path / "spool.db-shm").exists()


CHILD = """
import sys
from pathlib import Path
from agent.errors import TryLater
from agent.spool import Spool
try:
    Spool(Path(sys.argv[1]))
except TryLater as error:
    print(error, "|", error.hint, error.exit_code)
"""


def test_a_second_process_is_told_to_try_later(tmp_path: Path) -> None:
    with spool_in(tmp_path):
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(tmp_path / "spool.db")], capture_output=True, text=True, check=True
        )
    assert "is in use by another process | systemctl status sensor-agent 75" in done.stdout


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ForeignSpool, match="Not a directory"):
        spool_in(tmp_path / "file")
