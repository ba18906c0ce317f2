"""Gaps in the spool: they ride on commits, grow instead of multiplying, and are never more than a thousand."""

import shutil
from pathlib import Path

from world.readings import START, readings, spool_in

from agent.ledger import Cause, Gap
from agent.reading import Reading
from agent.spool import Limits


def absent(second: int, sensor: str = "attic") -> Gap:
    return Gap(sensor, second, second, 1, Cause.ABSENT)


def test_a_gap_survives_a_restart(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1), missed=[absent(START)])
    with spool_in(tmp_path) as spool:
        assert spool.gaps() == [absent(START)]


def test_a_gap_rides_on_the_commit_of_its_tick(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1), missed=[absent(START)])
        (tmp_path / "cut").mkdir()
        for file in tmp_path.glob("spool.db*"):
            shutil.copy(file, tmp_path / "cut")
        with spool_in(tmp_path / "cut") as after:
            assert after.gaps() == [absent(START)]


def test_a_gap_alone_asks_for_no_commit_and_is_known_all_the_same(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1))
        before = (tmp_path / "spool.db-wal").read_bytes()
        spool.append([], missed=[absent(START)])
        assert (tmp_path / "spool.db-wal").read_bytes() == before
        assert spool.gaps() == [absent(START)]


def test_a_gap_that_goes_on_stays_one_entry(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        for number in range(100):
            spool.append(readings(number), missed=[absent(START + 60 * number)])
        assert spool.gaps() == [Gap("attic", START, START + 60 * 99, 100, Cause.ABSENT)]


def test_the_thousand_latest_entries_stay(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1), missed=[absent(START + 10_000 * number) for number in range(1500)])
        gaps = spool.gaps()
        assert len(gaps) == 1000
        assert gaps[-1] == absent(START + 10_000 * 1499)


def test_readings_dropped_because_the_spool_is_full_are_in_the_ledger(tmp_path: Path) -> None:
    with spool_in(tmp_path, Limits(max_readings=3)) as spool:
        for number in range(5):
            spool.append(readings(number))
        assert spool.gaps() == [Gap("freezer", START, START + 60, 2, Cause.SPOOL_FULL)]


def test_a_thinned_outage_says_how_many_are_missing(tmp_path: Path) -> None:
    with spool_in(tmp_path, Limits(max_readings=8, thin=True)) as spool:
        spool.append(readings(*range(9)))
        (gap,) = spool.gaps()
        assert (gap.count, gap.cause) == (spool.counts().dropped, Cause.SPOOL_FULL)


def test_refused_readings_are_in_the_ledger(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2))
        spool.set_aside(1, status=400, reason="no")
        spool.set_aside(2, status=400, reason="no")
        assert spool.gaps() == [Gap("freezer", START + 60, START + 120, 2, Cause.REFUSED)]


def test_readings_whose_time_nobody_knows_are_in_the_ledger(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1))
        spool.append([Reading("freezer", 1, 10), Reading("freezer", 1, 20)], boot_id="a")
        spool.forget_boots("b")
        assert spool.gaps() == [Gap("freezer", START + 60, START + 60, 2, Cause.CLOCK_UNKNOWN)]


def test_the_boot_of_the_run_before_is_known(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        assert spool.begin("one") == ""
        spool.append(readings(1))
    with spool_in(tmp_path) as spool:
        assert spool.begin("two") == "one"
        assert spool.begin("two") == "two"


def test_a_ledger_from_before_is_no_part_of_an_older_file_and_is_made(tmp_path: Path) -> None:
    from power.lives import version_1

    begun = version_1(tmp_path)
    with spool_in(tmp_path) as spool:
        assert {spooled.seq for spooled in spool.head(1000)} == begun.pending
        spool.append(readings(500), missed=[absent(START)])
        assert spool.gaps() == [absent(START)]
        assert spool.counts().set_aside == 1
