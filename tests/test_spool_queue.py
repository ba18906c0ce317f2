"""The spool as a queue: what comes out, in which order, and what stays."""

from pathlib import Path

import pytest
from world.readings import START, reading, readings, spool_in

from agent.errors import TryLater
from agent.spool import Limits, Spool


def seqs(spool: Spool, limit: int = 64) -> list[int]:
    return [spooled.seq for spooled in spool.head(limit)]


def test_head_gives_the_oldest_first(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(3, 1))
        spool.append(readings(2))
        assert [spooled.reading for spooled in spool.head()] == readings(3, 1, 2)


def test_head_consumes_nothing(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2))
        assert spool.head() == spool.head()


def test_head_gives_no_more_than_asked(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2, 3))
        assert seqs(spool, limit=2) == [1, 2]


def test_an_acknowledged_reading_is_gone(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2))
        spool.head()
        spool.ack(1)
        assert seqs(spool) == [2]
        assert spool.counts().pending == 1


def test_a_later_reading_may_be_acknowledged_first(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2, 3))
        spool.head()
        spool.ack(2)
        assert seqs(spool) == [1, 3]


def test_an_acknowledgement_out_of_order_survives_a_restart(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2, 3))
        spool.head()
        spool.ack(2)
    with spool_in(tmp_path) as spool:
        assert seqs(spool) == [1, 3]
        spool.ack(1)
        spool.ack(3)
    with spool_in(tmp_path) as spool:
        assert spool.counts().pending == 0


def test_an_acknowledgement_counts_once(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2))
        spool.head()
        spool.ack(1)
        spool.ack(1)
        spool.append(readings(3))
        spool.ack(1)
        assert spool.counts().pending == 2


def test_acknowledging_an_unknown_number_changes_nothing(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1))
        spool.ack(99)
        assert spool.counts().pending == 1


def test_acknowledging_works_without_a_head_before(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2))
        spool.ack(2)
        assert seqs(spool) == [1]


def test_a_reading_set_aside_leaves_the_queue(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2))
        spool.head()
        spool.set_aside(1, status=400, reason="HTTP 400: no")
        assert seqs(spool) == [2]
        assert (spool.counts().pending, spool.counts().set_aside) == (1, 1)


def test_any_pending_reading_can_be_set_aside(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2, 3))
        spool.set_aside(3, status=400, reason="HTTP 400: no")
        assert seqs(spool) == [1, 2]


def test_a_reading_still_in_memory_can_be_set_aside(tmp_path: Path) -> None:
    with spool_in(tmp_path, Limits(max_readings=5000, window_seconds=60)) as spool:
        spool.append(readings(1, 2))
        spool.set_aside(1, status=400, reason="HTTP 400: no")
        assert (seqs(spool), spool.counts().set_aside) == ([2], 1)


def test_setting_aside_what_has_left_changes_nothing(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1))
        spool.head()
        spool.ack(1)
        spool.set_aside(1, status=400, reason="HTTP 400: no")
        assert spool.counts().set_aside == 0


def test_only_the_newest_thousand_stay_set_aside_and_the_rest_counts_as_dropped(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(*range(1003)))
        for seq in range(1, 1004):
            spool.set_aside(seq, status=422, reason="no")
        assert (spool.counts().set_aside, spool.counts().dropped) == (1000, 3)


def test_numbers_go_on_after_the_spool_was_emptied(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2))
        spool.head()
        spool.ack(1)
        spool.ack(2)
        spool.append(readings(3))
        spool.append(readings(4))
        assert seqs(spool) == [3, 4]


def test_numbers_go_on_after_a_restart_of_an_empty_spool(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2))
        spool.head()
        spool.ack(1)
        spool.ack(2)
    with spool_in(tmp_path) as spool:
        spool.append(readings(3))
        assert seqs(spool) == [3]


def test_readings_survive_a_restart(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, sensor="freezer"))
        spool.append(readings(2, sensor="attic"))
    with spool_in(tmp_path) as spool:
        assert [spooled.reading for spooled in spool.head()] == [reading(1, "freezer"), reading(2, "attic")]


def test_the_latest_second_survives_a_restart(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(5))
        spool.append(readings(2))
    with spool_in(tmp_path) as spool:
        assert spool.last_seconds == START + 5 * 60


def test_counts_tell_the_oldest_second(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2))
        spool.ack(1)
        assert spool.counts().oldest == START + 120


def test_an_empty_spool_has_no_oldest(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        assert spool.counts().oldest is None


def test_a_tick_without_readings_writes_nothing(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1))
        before = (tmp_path / "spool.db-wal").read_bytes()
        spool.append([])
        assert (tmp_path / "spool.db-wal").read_bytes() == before


def test_a_second_opening_is_told_to_try_later(tmp_path: Path) -> None:
    with spool_in(tmp_path), pytest.raises(TryLater, match="in use by another process"):
        spool_in(tmp_path)
