"""The ledger of gaps: every hole with its cause, its ends and its count."""

import pytest

from agent.ledger import CLOSE_SECONDS, Cause, Gap, Watch, joined, silence

AT = 1_795_000_000


def gap(since: int, until: int, count: int = 1, cause: Cause = Cause.ABSENT, sensor: str = "a") -> Gap:
    return Gap(sensor, AT + since, AT + until, count, cause)


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([gap(0, 0), gap(60, 60), gap(120, 120)], [gap(0, 120, 3)]),
        ([gap(60, 60), gap(0, 0)], [gap(0, 60, 2)]),
        ([gap(0, 0), gap(60, 60, sensor="b")], [gap(0, 0), gap(60, 60, sensor="b")]),
        ([gap(0, 0), gap(60, 60, cause=Cause.UNREADABLE)], [gap(0, 0), gap(60, 60, cause=Cause.UNREADABLE)]),
        ([gap(0, 0), gap(CLOSE_SECONDS, CLOSE_SECONDS)], [gap(0, CLOSE_SECONDS, 2)]),
        (
            [gap(0, 0), gap(CLOSE_SECONDS + 1, CLOSE_SECONDS + 1)],
            [gap(0, 0), gap(CLOSE_SECONDS + 1, CLOSE_SECONDS + 1)],
        ),
        ([gap(0, 500, 9), gap(10, 20, 2)], [gap(0, 500, 11)]),
        ([], []),
    ],
)
def test_misses_of_one_cause_that_lie_close_share_an_entry(gaps: list[Gap], expected: list[Gap]) -> None:
    assert joined(gaps) == expected


@pytest.mark.parametrize(
    ("last", "first", "same_boot", "expected"),
    [
        (AT, AT + 60, False, None),
        (AT, AT + 89, False, None),
        (AT, AT + 90, False, gap(1, 89, 1, Cause.POWERED_OFF)),
        (AT, AT + 600, False, gap(1, 599, 9, Cause.POWERED_OFF)),
        (AT, AT + 600, True, gap(1, 599, 9, Cause.AGENT_STOPPED)),
        (0, AT, False, None),
        (AT + 600, AT, False, None),
    ],
)
def test_a_silence_before_the_start_is_a_gap(last: int, first: int, same_boot: bool, expected: Gap | None) -> None:
    assert silence("a", last=last, first=first, every=60.0, same_boot=same_boot) == expected


def test_what_failed_without_a_clock_is_told_by_its_time_once_there_is_one() -> None:
    watch = Watch(0, same_boot=False).after([("a", "absent"), ("b", "unreadable")], 10.0).after([("a", "absent")], 70.0)
    watch, gaps = watch.told(AT, {"a": 60.0, "b": 60.0})
    assert gaps == [gap(10, 70, 2), gap(10, 10, cause=Cause.UNREADABLE, sensor="b")]
    assert watch.told(AT, {"a": 60.0}) == (watch, [])


def test_the_silence_before_the_start_ends_with_the_first_try_and_is_told_once() -> None:
    watch = Watch(AT, same_boot=False).after([], 600.0).after([], 660.0)
    watch, gaps = watch.told(AT, {"a": 60.0})
    assert gaps == [gap(1, 599, 9, Cause.POWERED_OFF)]
    assert watch.after([], 720.0).told(AT, {"a": 60.0})[1] == []
