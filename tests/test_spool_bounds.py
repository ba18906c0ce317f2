"""What leaves when the spool is full, and that each of it is counted."""

from pathlib import Path

from world.readings import START, reading, readings, spool_in

from agent.spool import Limits, Spool

DAY = 86_400


def minutes(spool: Spool, sensor: str = "freezer") -> list[int]:
    found = [spooled.reading for spooled in spool.head(10_000)]
    return [(each.unix_seconds - START) // 60 for each in found if each.sensor == sensor]


def test_the_oldest_leave_when_there_are_too_many(tmp_path: Path) -> None:
    with spool_in(tmp_path, Limits(max_readings=3)) as spool:
        for number in range(5):
            spool.append(readings(number))
        assert minutes(spool) == [2, 3, 4]
        assert (spool.counts().pending, spool.counts().dropped) == (3, 2)


def test_drops_are_counted_durably(tmp_path: Path) -> None:
    with spool_in(tmp_path, Limits(max_readings=3)) as spool:
        spool.append(readings(*range(5)))
    with spool_in(tmp_path, Limits(max_readings=3)) as spool:
        assert spool.counts().dropped == 2
        spool.append(readings(6))
        assert spool.counts().dropped == 3


def test_a_tick_larger_than_the_spool_leaves_its_newest_readings(tmp_path: Path) -> None:
    with spool_in(tmp_path, Limits(max_readings=2)) as spool:
        spool.append(readings(1, 2, 3, 4, 5))
        assert minutes(spool) == [4, 5]


def test_readings_over_age_leave(tmp_path: Path) -> None:
    with spool_in(tmp_path, Limits(max_readings=5000, max_age_seconds=DAY)) as spool:
        spool.append(readings(0, 10))
        spool.append(readings(20), utc=START + DAY + 300)
        assert minutes(spool) == [10, 20]
        assert spool.counts().dropped == 1


def test_age_is_not_judged_without_a_trusted_clock(tmp_path: Path) -> None:
    with spool_in(tmp_path, Limits(max_readings=5000, max_age_seconds=1)) as spool:
        spool.append(readings(0))
        spool.append(readings(9999))
        assert spool.counts().dropped == 0


def test_held_readings_have_no_age(tmp_path: Path) -> None:
    with spool_in(tmp_path, Limits(max_readings=5000, max_age_seconds=DAY)) as spool:
        spool.append([reading(0)])
        spool.append(readings(1), boot_id="a")
        spool.append(readings(9999), utc=START + 9999 * 60)
        assert (spool.counts().held, spool.counts().dropped) == (1, 1)


def test_thinning_keeps_the_shape_of_an_outage(tmp_path: Path) -> None:
    with spool_in(tmp_path, Limits(max_readings=8, thin=True)) as spool:
        for number in range(9):
            spool.append(readings(number))
        assert minutes(spool) == [0, 2, 4, 5, 6, 7, 8]
        assert spool.counts().dropped == 2


def test_thinning_treats_each_sensor_alike(tmp_path: Path) -> None:
    with spool_in(tmp_path, Limits(max_readings=10, thin=True)) as spool:
        for number in range(6):
            spool.append([reading(number, "freezer"), reading(number, "attic")])
        assert minutes(spool, "freezer") == minutes(spool, "attic")


def test_a_spool_thinned_again_and_again_still_reaches_back(tmp_path: Path) -> None:
    with spool_in(tmp_path, Limits(max_readings=50, thin=True)) as spool:
        for number in range(500):
            spool.append(readings(number))
        assert spool.counts().pending <= 50
        assert spool.counts().pending + spool.counts().dropped == 500
        assert minutes(spool)[0] == 0


def test_an_acknowledgement_of_a_reading_dropped_meanwhile_changes_nothing(tmp_path: Path) -> None:
    with spool_in(tmp_path, Limits(max_readings=2)) as spool:
        spool.append(readings(1, 2))
        spool.head()
        spool.append(readings(3))
        spool.ack(1)
        assert (spool.counts().pending, spool.counts().dropped) == (2, 1)


def test_limits_may_change_while_running(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2, 3))
        spool.limits = Limits(max_readings=2)
        spool.append(readings(4))
        assert minutes(spool) == [3, 4]
