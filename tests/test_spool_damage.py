"""Damage on the card: a flipped bit costs one reading, a torn page a few, and nothing stops the daemon."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from world.readings import readings, spool_in

from agent.spool import Spool

MANY = 3000


def edit(directory: Path, sql: str) -> None:
    """Change the closed spool behind the agent's back."""
    db = sqlite3.connect(directory / "spool.db")
    db.execute(sql)
    db.commit()
    db.close()


def filled(directory: Path) -> None:
    with spool_in(directory) as spool:
        for number in range(0, MANY, 100):
            spool.append(readings(*range(number, number + 100)))
        spool.set_aside(1, status=400, reason="no")


def pages_of_readings(directory: Path) -> list[int]:
    """Numbers of the leaf pages that hold readings, oldest first, told by their first byte and their size."""
    data = (directory / "spool.db").read_bytes()
    found = [page for page in range(len(data) // 512) if data[page * 512] == 0x0D and _cells(data, page) > 10]
    return sorted(found)


def _cells(data: bytes, page: int) -> int:
    return int.from_bytes(data[page * 512 + 3 : page * 512 + 5], "big")


def overwrite(directory: Path, page: int) -> None:
    with (directory / "spool.db").open("r+b") as file:
        file.seek(page * 512)
        file.write(b"\xa5" * 512)


@pytest.mark.parametrize("column", ["seconds", "milli", "crc"])
def test_a_damaged_reading_is_set_aside_and_the_next_one_sent(tmp_path: Path, column: str) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2))
    edit(tmp_path, f"UPDATE reading SET {column} = {column} + 4 WHERE seq = 1")
    with spool_in(tmp_path) as spool:
        assert [spooled.seq for spooled in spool.head()] == [2]
        assert (spool.counts().pending, spool.counts().set_aside) == (1, 1)


def test_a_damaged_name_sets_all_readings_of_that_sensor_aside(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append([*readings(*range(500), sensor="freezer"), *readings(1, sensor="attic")])
    edit(tmp_path, "UPDATE sensor SET name = 'freezeR' WHERE name = 'freezer'")
    with spool_in(tmp_path) as spool:
        assert [spooled.reading.sensor for spooled in spool.head()] == ["attic"]
        assert spool.counts().set_aside == 500


@pytest.mark.parametrize("where", [0.0, 0.3, 0.7, 0.999], ids=["first", "third", "later", "last"])
def test_a_torn_page_costs_its_own_readings_only(tmp_path: Path, where: float) -> None:
    filled(tmp_path)
    pages = pages_of_readings(tmp_path)
    overwrite(tmp_path, pages[int(where * len(pages))])
    with spool_in(tmp_path) as spool:
        kept = [spooled.seq for spooled in spool.head(MANY)]
        assert MANY - 60 < len(kept) < MANY - 1
        assert kept == sorted(kept)
        assert spool.counts().pending == len(kept)
        assert spool.counts().set_aside == 1


def test_a_rebuilt_spool_goes_on_with_new_numbers(tmp_path: Path) -> None:
    filled(tmp_path)
    overwrite(tmp_path, pages_of_readings(tmp_path)[-1])
    with spool_in(tmp_path) as spool:
        spool.append(readings(9000))
        assert spool.head(MANY)[-1].seq == MANY + 1


def test_numbers_are_not_given_again_when_the_state_is_lost(tmp_path: Path) -> None:
    filled(tmp_path)
    edit(tmp_path, "DELETE FROM state")
    with spool_in(tmp_path) as spool:
        spool.append(readings(9000))
        assert spool.head(MANY)[-1].seq > MANY


def test_a_lost_table_is_made_again(tmp_path: Path) -> None:
    filled(tmp_path)
    edit(tmp_path, "DROP TABLE set_aside")
    with spool_in(tmp_path) as spool:
        assert len(spool.head(MANY)) == MANY - 1
        assert (spool.counts().pending, spool.counts().set_aside) == (MANY - 1, 0)


def test_a_sensor_added_after_a_rebuild_keeps_its_own_number(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        for sensor in ("a", "b", "c"):
            spool.append(readings(1, sensor=sensor))
    edit(tmp_path, "DELETE FROM sensor WHERE name = 'a'")
    with spool_in(tmp_path) as spool:
        spool.append(readings(2, sensor="d"))
        assert [spooled.reading.sensor for spooled in spool.head()] == ["b", "c", "d"]


def test_the_damaged_file_is_kept_for_a_person(tmp_path: Path) -> None:
    filled(tmp_path)
    overwrite(tmp_path, pages_of_readings(tmp_path)[3])
    torn = (tmp_path / "spool.db").read_bytes()
    spool_in(tmp_path).close()
    assert (tmp_path / "spool.db.damaged-1").read_bytes() == torn


def test_damage_met_while_running_is_mended_by_the_next_tick(tmp_path: Path) -> None:
    filled(tmp_path)
    with spool_in(tmp_path) as spool:
        pages = pages_of_readings(tmp_path)
        overwrite(tmp_path, pages[0])
        overwrite(tmp_path, pages[1])
        spool.head()
        spool.append(readings(9000))
        spool.append(readings(9001))
        assert spool.counts().trouble == ""
        assert len(spool.head(MANY)) == spool.counts().pending
        assert spool.counts().pending > MANY - 100


def test_a_file_overwritten_by_zeros_but_for_its_header_gives_an_empty_spool(tmp_path: Path) -> None:
    filled(tmp_path)
    size = (tmp_path / "spool.db").stat().st_size
    with (tmp_path / "spool.db").open("r+b") as file:
        file.seek(100)
        file.write(bytes(size - 100))
    with Spool(tmp_path / "spool.db") as spool:
        spool.append(readings(1))
        assert [spooled.reading for spooled in spool.head()] == readings(1)
        assert spool.counts().pending == 1


def spoil(directory: Path) -> None:
    """Damage that is met at the start and costs no reading."""
    db = sqlite3.connect(directory / "spool.db")
    [page] = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'boot'").fetchone()
    db.close()
    overwrite(directory, page - 1)


def test_new_readings_are_stored_at_once_and_come_after_those_that_are_salvaged(tmp_path: Path) -> None:
    filled(tmp_path)
    spoil(tmp_path)
    with spool_in(tmp_path) as spool:
        spool.append(readings(9000))
        assert [spooled.seq for spooled in spool.head(MANY + 1)] == [*range(2, MANY + 2)]


def test_a_second_damage_before_the_first_is_salvaged_loses_nothing_and_keeps_the_order(tmp_path: Path) -> None:
    filled(tmp_path)
    spoil(tmp_path)
    with spool_in(tmp_path) as spool:
        spool.append(readings(*range(MANY, MANY + 10)))
    spoil(tmp_path)
    with spool_in(tmp_path) as spool:
        spool.append(readings(*range(MANY + 10, MANY + 20)))
        found = spool.head(MANY + 100)
        assert [spooled.seq for spooled in found] == [*range(2, MANY + 21)]
        assert [spooled.reading for spooled in found] == readings(*range(1, MANY + 20))


def test_a_salvage_goes_on_after_a_restart(tmp_path: Path) -> None:
    filled(tmp_path)
    spoil(tmp_path)
    for number in range(2):
        with spool_in(tmp_path) as spool:
            spool.append(readings(9000 + number))
            assert 1000 <= spool.counts().pending < MANY
    with spool_in(tmp_path) as spool:
        assert [spooled.seq for spooled in spool.head(MANY + 10)] == [*range(2, MANY + 3)]


def test_two_damaged_files_are_kept_and_no_more(tmp_path: Path) -> None:
    for number in range(4):
        with spool_in(tmp_path) as spool:
            spool.append(readings(number))
            spool.head()
        spoil(tmp_path)
    with spool_in(tmp_path) as spool:
        assert [spooled.reading for spooled in spool.head()] == readings(0, 1, 2, 3)
    assert sorted(file.name for file in tmp_path.glob("*.damaged-?")) == ["spool.db.damaged-3", "spool.db.damaged-4"]


def test_moving_aside_that_was_interrupted_is_finished_with_its_wal(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2))
        cut = tmp_path / "cut"
        cut.mkdir()
        for file in tmp_path.glob("spool.db*"):
            shutil.copy(file, cut)
    (cut / "spool.db.damaged-1").hardlink_to(cut / "spool.db")
    (cut / "spool.db-wal").rename(cut / "spool.db.damaged-1-wal")
    with spool_in(cut) as spool:
        assert [spooled.reading for spooled in spool.head()] == readings(1, 2)
