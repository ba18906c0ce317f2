"""Readings that wait for a clock: held by seconds since boot, stamped when the time of day is known."""

import sqlite3
from pathlib import Path

import pytest
from world.readings import START, readings, spool_in

from agent.reading import Reading
from agent.spool import Limits, Spool


def since_boot(*seconds: int, sensor: str = "freezer") -> list[Reading]:
    return [Reading(sensor, 1000 * second, second) for second in seconds]


def stamps(spool: Spool) -> list[int]:
    return [spooled.reading.unix_seconds for spooled in spool.head()]


def test_held_readings_are_pending_but_not_sent(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(since_boot(10, 70), boot_id="a")
        assert spool.head() == []
        assert (spool.counts().pending, spool.counts().held) == (2, 2)


def test_head_stops_before_the_first_held_reading(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1))
        spool.append(since_boot(10), boot_id="a")
        spool.append(readings(2))
        assert stamps(spool) == [START + 60]


def test_release_gives_each_reading_its_time(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(since_boot(10, 70), boot_id="a")
        assert spool.release("a", offset_seconds=START + 0.4) == 2
        assert stamps(spool) == [START + 10, START + 70]
        assert spool.counts().held == 0


def test_released_readings_are_on_flash(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(since_boot(10), boot_id="a")
        spool.release("a", offset_seconds=START)
    with spool_in(tmp_path) as spool:
        assert stamps(spool) == [START + 10]


def test_held_readings_are_released_after_a_restart_within_the_boot(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(since_boot(10), boot_id="a")
    with spool_in(tmp_path) as spool:
        spool.append(since_boot(70), boot_id="a")
        spool.release("a", offset_seconds=START)
        assert stamps(spool) == [START + 10, START + 70]


def test_released_stamps_of_one_sensor_strictly_increase(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(since_boot(10, 10, 10), boot_id="a")
        spool.release("a", offset_seconds=START)
        assert stamps(spool) == [START + 10, START + 11, START + 12]


def test_two_sensors_keep_their_common_second(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append([*since_boot(10), *since_boot(10, sensor="attic")], boot_id="a")
        spool.release("a", offset_seconds=START)
        assert stamps(spool) == [START + 10, START + 10]


def test_released_stamps_lie_above_what_was_sent_before_the_boot(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(50))
        spool.ack(1)
    with spool_in(tmp_path) as spool:
        spool.append(since_boot(10, 20), boot_id="a")
        spool.release("a", offset_seconds=START)  # a clock that was ahead before
        assert stamps(spool) == [START + 3001, START + 3002]


def test_the_latest_second_covers_released_readings(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(since_boot(10), boot_id="a")
        spool.release("a", offset_seconds=START)
        assert spool.last_seconds == START + 10


def test_readings_of_another_boot_stay_held(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(since_boot(10), boot_id="a")
        assert spool.release("b", offset_seconds=START) == 0
        assert spool.counts().held == 1


def test_readings_of_earlier_boots_are_set_aside(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(since_boot(10, 20), boot_id="a")
        spool.append(since_boot(5), boot_id="b")
        assert spool.forget_boots("b") == 2
        assert (spool.counts().held, spool.counts().set_aside) == (1, 2)


def test_a_reading_set_aside_while_held_is_still_known_as_boot_relative(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(since_boot(10), boot_id="a")
        spool.forget_boots("b")
    db = sqlite3.connect(tmp_path / "spool.db")
    assert db.execute("SELECT seconds, boot FROM set_aside").fetchall() == [(10, 1)]
    db.close()


def test_more_held_readings_than_one_transaction_takes_are_all_released(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(since_boot(*range(1, 2502)), boot_id="a")
        assert spool.release("a", offset_seconds=START) == 2501
        assert spool.counts().held == 0


@pytest.mark.parametrize("window", [0.0, 60.0])
def test_held_readings_in_memory_are_released_too(tmp_path: Path, window: float) -> None:
    with spool_in(tmp_path, Limits(max_readings=5000, window_seconds=window)) as spool:
        spool.append(since_boot(10), boot_id="a")
        spool.append(since_boot(20), boot_id="a", now=1.0)
        assert spool.release("a", offset_seconds=START) == 2
        assert stamps(spool) == [START + 10, START + 20]


def test_the_oldest_second_is_that_of_a_reading_with_a_time(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(since_boot(10), boot_id="a")
        spool.append(readings(3, 4))
        assert spool.counts().oldest == START + 180


def test_with_only_held_readings_there_is_no_oldest_second(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(since_boot(10), boot_id="a")
        assert spool.counts().oldest is None


def test_a_damaged_held_reading_is_set_aside_and_never_stamped(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(since_boot(10, 20), boot_id="a")
    db = sqlite3.connect(tmp_path / "spool.db")
    db.execute("UPDATE reading SET milli = milli + 1 WHERE seq = 1")
    db.commit()
    db.close()
    with spool_in(tmp_path) as spool:
        assert spool.release("a", offset_seconds=START) == 1
        assert stamps(spool) == [START + 20]
        assert spool.counts().set_aside == 1
