"""Which reading is to blame for a refusal: a table of what the shield says, in the order it is asked."""

import pytest

from agent.delivery import Suspects, Verdict

ACK, REJECT, HOLD, RETRY = Verdict.ACK, Verdict.REJECT, Verdict.HOLD, Verdict.RETRY


def play(pending: list[int], refused: set[int], *, posts: int) -> tuple[list[int], list[int]]:
    """What is sent and what is set aside when the shield refuses those readings, in so many POSTs."""
    suspects, sent, aside = Suspects(), [], []
    for _ in range(posts):
        if not pending:
            break
        seq = suspects.choose(pending)
        sent.append(seq)
        verdict = REJECT if seq in refused else ACK
        suspects, to_blame = suspects.after(seq, verdict)
        if to_blame:
            aside.append(seq)
        if to_blame or verdict is ACK:
            pending.remove(seq)
    return sent, aside


@pytest.mark.parametrize(
    ("pending", "refused", "sent", "aside"),
    [
        ([1, 2, 3], set(), [1, 2, 3], []),
        ([1, 2, 3], {1}, [1, 2, 1, 3], [1]),
        ([1, 2, 3], {2}, [1, 2, 3, 2], [2]),
        ([1, 2, 3, 4], {1, 2}, [1, 2, 3, 1, 2, 4], [1, 2]),
        ([1, 2, 3, 4, 5, 6, 7], {1, 2, 3, 4, 5, 6}, [1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]),
    ],
)
def test_a_refused_reading_gets_its_second_try_once_another_was_accepted(
    pending: list[int], refused: set[int], sent: list[int], aside: list[int]
) -> None:
    assert play(pending, refused, posts=20) == (sent, aside)


def test_a_shield_that_refuses_everyone_costs_no_reading() -> None:
    sent, aside = play([1, 2, 3], {1, 2, 3}, posts=50)
    assert aside == []
    assert set(sent) == {1, 2, 3}


def test_after_an_outage_by_refusal_innocent_readings_are_delivered() -> None:
    suspects = Suspects()
    for seq in (1, 2, 3):
        suspects, _ = suspects.after(seq, REJECT)
    suspects, _ = suspects.after(4, ACK)
    for seq in (1, 2, 3):
        assert suspects.choose([1, 2, 3][seq - 1 :]) == seq
        suspects, to_blame = suspects.after(seq, ACK)
        assert not to_blame


@pytest.mark.parametrize("refusals", [0, 4, 5, 9])
def test_five_different_readings_refused_in_a_row_are_about_everyone(refusals: int) -> None:
    suspects = Suspects()
    for seq in range(refusals):
        suspects, _ = suspects.after(seq, REJECT)
    assert suspects.refuses_everyone is (refusals >= 5)


@pytest.mark.parametrize("verdict", [HOLD, RETRY, Verdict.MISDIRECTED])
def test_other_answers_say_nothing_about_the_reading(verdict: Verdict) -> None:
    suspects, _ = Suspects().after(1, REJECT)
    assert suspects.after(1, verdict) == (suspects, False)
