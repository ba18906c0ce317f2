"""A durability window: what is delivered in time never reaches the card, the rest is committed together."""

import shutil
from pathlib import Path

from world.readings import START, readings, spool_in

from agent.spool import Limits, Spool

WINDOW = Limits(max_readings=5000, window_seconds=60)


def power_cut(directory: Path, after: Path) -> Path:
    """What a power cut now would leave, as a directory of its own: the files, without the runtime directory."""
    after.mkdir()
    for file in directory.glob("spool.db*"):
        shutil.copy(file, after)
    return after


def settle_in(spool: Spool) -> None:
    """Past the first commit, which claims the numbers: the tests are about a window that has begun."""
    spool.append(readings(0))
    deliver(spool)


def deliver(spool: Spool) -> None:
    for spooled in spool.head(10_000):
        spool.ack(spooled.seq)


def test_a_reading_waits_in_memory_for_its_window(tmp_path: Path) -> None:
    with spool_in(tmp_path, WINDOW) as spool:
        settle_in(spool)
        spool.append(readings(1), now=100.0)
        spool.append(readings(2), now=159.0)
        with spool_in(power_cut(tmp_path, tmp_path / "cut")) as after:
            assert after.counts().pending == 0


def test_when_its_window_is_over_a_reading_is_committed(tmp_path: Path) -> None:
    with spool_in(tmp_path, WINDOW) as spool:
        settle_in(spool)
        spool.append(readings(1), now=100.0)
        spool.append(readings(2), now=160.0)
        with spool_in(power_cut(tmp_path, tmp_path / "cut")) as after:
            assert [spooled.reading for spooled in after.head()] == readings(1)


def test_after_an_outage_what_is_delivered_in_time_is_never_written_again(tmp_path: Path) -> None:
    with spool_in(tmp_path, WINDOW) as spool:
        for number in range(10):
            spool.append(readings(number), now=number * 60.0)
        deliver(spool)
        spool.append([], now=1000.0)
        spool.append([], now=1060.0)
        before = (tmp_path / "spool.db-wal").read_bytes()
        for number in range(1, 100):
            spool.append(readings(number), now=2000 + number * 60.0)
            deliver(spool)
        assert (tmp_path / "spool.db-wal").read_bytes() == before


def test_what_is_delivered_in_time_is_never_written(tmp_path: Path) -> None:
    with spool_in(tmp_path, WINDOW) as spool:
        settle_in(spool)
        before = (tmp_path / "spool.db-wal").read_bytes()
        for number in range(1, 200):
            spool.append(readings(number), now=number * 60.0)
            deliver(spool)
        assert (tmp_path / "spool.db-wal").read_bytes() == before


def test_a_stop_commits_what_is_in_memory(tmp_path: Path) -> None:
    with spool_in(tmp_path, WINDOW) as spool:
        spool.append(readings(1))
        spool.append(readings(2), now=1.0)
    with spool_in(tmp_path, WINDOW) as spool:
        assert [spooled.reading for spooled in spool.head()] == readings(1, 2)


def test_a_backlog_delivered_under_a_window_is_deleted_when_the_window_is_over(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2, 3))
    with spool_in(tmp_path, WINDOW) as spool:
        deliver(spool)
        spool.append([], now=100.0)
        spool.append([], now=160.0)
        with spool_in(power_cut(tmp_path, tmp_path / "cut")) as after:
            assert after.counts().pending == 0


def test_numbers_of_readings_that_never_reached_the_card_are_not_given_again(tmp_path: Path) -> None:
    given: set[int] = set()
    with spool_in(tmp_path, WINDOW) as spool:
        for number in range(500):
            spool.append(readings(number), now=number * 60.0)
            given |= {spooled.seq for spooled in spool.head()}
            deliver(spool)
        cut = power_cut(tmp_path, tmp_path / "cut")
    with spool_in(cut, WINDOW) as after:
        after.append(readings(1000))
        assert after.head()[0].seq not in given


def test_numbers_have_no_gap_after_a_proper_stop(tmp_path: Path) -> None:
    with spool_in(tmp_path, WINDOW) as spool:
        spool.append(readings(1))
        deliver(spool)
    with spool_in(tmp_path, WINDOW) as spool:
        spool.append(readings(2))
        assert spool.head()[0].seq == 2


def test_more_readings_than_numbers_were_claimed_for_claim_new_ones(tmp_path: Path) -> None:
    with spool_in(tmp_path, WINDOW) as spool:
        spool.append(readings(1))
        spool.append(readings(*range(12_000)), now=1.0)
        top = spool.head(20_000)[-1].seq
        cut = power_cut(tmp_path, tmp_path / "cut")
    with spool_in(cut, WINDOW) as after:
        after.append(readings(1))
        assert after.head(20_000)[-1].seq > top


def test_strict_is_on_flash_when_append_returns(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2))
        with spool_in(power_cut(tmp_path, tmp_path / "cut")) as after:
            assert [spooled.reading for spooled in after.head()] == readings(1, 2)


def test_strict_numbers_have_no_gap_after_a_power_cut(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2))
        with spool_in(power_cut(tmp_path, tmp_path / "cut")) as after:
            after.append(readings(3))
            assert [spooled.seq for spooled in after.head()] == [1, 2, 3]


def test_what_is_set_aside_is_on_flash_at_once(tmp_path: Path) -> None:
    with spool_in(tmp_path, WINDOW) as spool:
        spool.append(readings(1, 2))
        spool.set_aside(1, status=422, reason="HTTP 422: no")
        with spool_in(power_cut(tmp_path, tmp_path / "cut")) as after:
            assert after.counts().set_aside == 1
            assert [spooled.reading.unix_seconds for spooled in after.head()] in ([], [START + 120])


def test_acknowledgements_ride_on_the_next_commit(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2))
        deliver(spool)
        with spool_in(power_cut(tmp_path, tmp_path / "before")) as after:
            assert after.counts().pending == 2
        spool.append(readings(3))
        with spool_in(power_cut(tmp_path, tmp_path / "after")) as after:
            assert [spooled.seq for spooled in after.head()] == [3]
