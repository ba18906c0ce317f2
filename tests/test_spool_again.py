"""What is sent once more: the same numbers, after everything else, and through restarts, full queues and refusals."""

from pathlib import Path

import pytest
from world.readings import reading, readings, spool_in

from agent.errors import SpoolError
from agent.ledger import Cause
from agent.reading import LATEST_SECOND
from agent.spool import Spool, aside
from agent.spool.aside import Chosen
from agent.spool.known import known, passed, replay


def seqs(spool: Spool) -> list[int]:
    return [spooled.seq for spooled in spool.head()]


def delivered(spool: Spool, *numbers: int) -> None:
    """Store the readings, acknowledge them, and let the next tick take the acknowledgement along."""
    spool.append(readings(*numbers))
    for spooled in spool.head():
        spool.ack(spooled.seq)
    spool.append([])


def refused(spool: Spool, *numbers: int) -> None:
    """Store the readings and set each aside."""
    spool.append(readings(*numbers))
    for spooled in spool.head():
        spool.set_aside(spooled.seq, status=422, reason="no")


def retry(spool: Spool, chosen: Chosen | None = None) -> tuple[int, int]:
    with spool.shelf() as shelf:
        return aside.retry(shelf, chosen or Chosen())


def drop(spool: Spool, chosen: Chosen) -> int:
    with spool.shelf() as shelf:
        return aside.drop(shelf, chosen)


def again(spool: Spool) -> int:
    return spool.counts().again


def test_a_replayed_stretch_goes_with_its_numbers_after_what_is_pending(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        delivered(spool, 1, 2, 3)
        spool.append(readings(4))
        assert replay(spool, reading(2).unix_seconds, LATEST_SECOND, most=100) == 2
        assert (seqs(spool), spool.counts().pending) == ([4], 3)
        spool.ack(4)
        assert [(each.seq, each.reading) for each in spool.head()] == [(2, reading(2)), (3, reading(3))]


def test_what_was_sent_again_leaves_and_stays_known_once(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        delivered(spool, 1, 2)
        assert replay(spool, 0, LATEST_SECOND, most=100) == 2
        spool.ack(1)
        assert (seqs(spool), again(spool)) == ([2], 1)
        spool.append([])
        spool.ack(2)
        spool.append([])
        assert (seqs(spool), again(spool), spool.counts().pending) == ([], 0, 0)
        assert sorted(row.seq for piece in passed(spool, 0, LATEST_SECOND) for row in piece) == [1, 2]


def test_what_goes_once_more_survives_a_restart(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        delivered(spool, 1, 2)
        replay(spool, 0, LATEST_SECOND, most=100)
        spool.ack(1)
    with spool_in(tmp_path) as spool:
        assert (seqs(spool), again(spool)) == ([2], 1)


def test_a_stretch_is_not_queued_twice_and_may_go_again_later(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        delivered(spool, 1, 2)
        assert [replay(spool, 0, LATEST_SECOND, most=100) for _ in range(2)] == [2, 0]
        spool.ack(1)
        assert replay(spool, 0, LATEST_SECOND, most=100) == 1


def test_what_was_delivered_since_the_last_tick_is_replayed_too(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1, 2))
        spool.ack(1)
        assert [row.seq for piece in known(spool, 0, LATEST_SECOND) for row in piece] == [1, 2]
        assert replay(spool, 0, LATEST_SECOND, most=100) == 1


def test_a_replay_beyond_the_spool_s_bound_is_refused(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        delivered(spool, 1, 2, 3)
        with pytest.raises(SpoolError, match="limit"):
            replay(spool, 0, LATEST_SECOND, most=2)
        assert again(spool) == 0


def test_a_retried_reading_goes_with_its_number_and_is_counted_as_pending(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        refused(spool, 1, 2)
        spool.append(readings(3))
        assert retry(spool, Chosen(seqs=(1,))) == (1, 0)
        counts = spool.counts()
        assert (counts.pending, counts.again, counts.set_aside, counts.dropped) == (2, 1, 1, 0)
        spool.ack(3)
        assert [(each.seq, each.reading) for each in spool.head()] == [(1, reading(1))]
        spool.ack(1)
        spool.append([])
        assert spool.counts().pending == 0
        assert sorted(row.seq for piece in passed(spool, 0, LATEST_SECOND) for row in piece) == [1, 3]


def test_a_retried_reading_that_is_refused_again_is_set_aside_again(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        refused(spool, 1)
        retry(spool)
        spool.set_aside(1, status=400, reason="still no")
        counts = spool.counts()
        assert (seqs(spool), counts.pending, counts.again, counts.set_aside) == ([], 0, 0, 1)
        with spool.shelf() as shelf:
            assert [(each.status, each.reason) for each in aside.listed(shelf, Chosen())] == [(400, "still no")]
        assert [(gap.count, gap.cause) for gap in spool.gaps()] == [(1, Cause.REFUSED)]


def test_what_has_no_time_or_is_damaged_is_never_sent(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1), boot_id="an earlier boot")
        spool.forget_boots("this boot")
        spool.append(readings(2))
        with spool.shelf() as shelf:
            aside.move_damaged(shelf, shelf.find(2))
        assert retry(spool) == (0, 2)
        assert (seqs(spool), spool.counts().set_aside) == ([], 2)


@pytest.mark.parametrize(
    ("chosen", "gone"),
    [
        (Chosen(), 3),
        (Chosen(seqs=(1, 9)), 1),
        (Chosen(sensor="freezer"), 3),
        (Chosen(sensor="attic"), 0),
        (Chosen(status=422), 3),
        (Chosen(status=400), 0),
        (Chosen(seqs=(1, 2), sensor="freezer", status=422), 2),
    ],
)
def test_dropping_counts_what_the_filter_means(tmp_path: Path, chosen: Chosen, gone: int) -> None:
    with spool_in(tmp_path) as spool:
        refused(spool, 1, 2, 3)
        assert drop(spool, chosen) == gone
    with spool_in(tmp_path) as spool:
        assert (spool.counts().dropped, spool.counts().set_aside) == (gone, 3 - gone)


def test_a_new_tick_waits_for_few_that_go_once_more(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        delivered(spool, *range(40))
        replay(spool, 0, LATEST_SECOND, most=100)
        assert len(spool.head(64)) <= 8
