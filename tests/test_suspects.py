"""Which reading is to blame for a refusal: a table of what the shield says, in the order it is asked."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from agent.delivery import Answer, Suspects, Verdict

ACK, REJECT = Answer(Verdict.ACK, 201), Answer(Verdict.REJECT, 400)
HOLD, BUSY, ERROR = Answer(Verdict.HOLD, 403), Answer(Verdict.RETRY, 503), Answer(Verdict.RETRY, 500)
MISDIRECTED = Answer(Verdict.MISDIRECTED, 404)
HOUR = 3600.0


@dataclass
class Play:
    """The readings that wait, and what became of those that were sent. `now` moves on by a minute a POST."""

    pending: list[int]
    answer: Callable[[int], Answer]
    suspects: Suspects = field(default_factory=Suspects)
    now: float = 0.0
    sent: list[int] = field(default_factory=list)
    aside: list[int] = field(default_factory=list)

    def post(self, times: int = 1) -> "Play":
        for _ in range(times):
            seq = self.suspects.choose(self.pending, self.now)
            if seq is not None:
                self.sent.append(seq)
                answer = self.answer(seq)
                self.suspects, to_blame = self.suspects.after(seq, answer, self.now)
                if to_blame:
                    self.aside.append(seq)
                if to_blame or answer.verdict is Verdict.ACK:
                    self.pending.remove(seq)
            self.now += 60.0
        return self


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
    play = Play(pending, lambda seq: REJECT if seq in refused else ACK).post(20)
    assert (play.sent, play.aside) == (sent, aside)


def test_a_shield_that_refuses_everyone_costs_no_reading() -> None:
    play = Play([1, 2, 3], lambda _: REJECT).post(50)
    assert play.aside == []
    assert set(play.sent) == {1, 2, 3}


def test_after_an_outage_by_refusal_innocent_readings_are_delivered() -> None:
    play = Play([1, 2, 3, 4], lambda _: REJECT).post(3)
    play.answer = lambda _: ACK
    play.post(20)
    assert (play.pending, play.aside, play.sent) == ([], [], [1, 2, 3, 4, 1, 2, 3])


@pytest.mark.parametrize("refusals", [0, 4, 5, 9])
def test_five_different_readings_refused_in_a_row_are_about_everyone(refusals: int) -> None:
    suspects = Suspects()
    for seq in range(refusals):
        suspects, _ = suspects.after(seq, REJECT, 0.0)
    assert suspects.refuses_everyone is (refusals >= 5)


@pytest.mark.parametrize("answer", [HOLD, BUSY, MISDIRECTED])
def test_other_answers_say_nothing_about_the_reading(answer: Answer) -> None:
    suspects, _ = Suspects().after(1, REJECT, 0.0)
    assert suspects.after(1, answer, 1.0) == (suspects, False)
    assert Suspects().after(1, answer, 1.0) == (Suspects(), False)


def test_after_five_answers_of_500_the_next_reading_is_tried_once_and_then_one_further_on() -> None:
    play = Play([1, 2, 3], lambda _: ERROR).post(18)
    assert play.sent == [1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1, 3]
    assert (play.aside, play.suspects.is_deferred(1)) == ([], False)


@pytest.mark.parametrize("answer", [BUSY, HOLD, MISDIRECTED, REJECT])
def test_another_answer_to_the_next_reading_is_no_proof_either(answer: Answer) -> None:
    play = Play([1, 2, 3], lambda seq: ERROR if seq == 1 else answer).post(6)
    assert not play.suspects.is_deferred(1)
    assert play.suspects.choose([1, 2, 3], play.now) == 1


def test_a_day_of_500_for_everyone_costs_no_reading() -> None:
    play = Play([1, 2, 3], lambda _: ERROR).post(3000)
    assert play.aside == []
    play.answer = lambda _: ACK
    play.now += 1e6
    play.post(10)
    assert (play.pending, play.aside) == ([], [])


def test_a_reading_that_alone_is_answered_500_is_overtaken_and_tried_once_an_hour() -> None:
    play = Play([1, 2, 3, 4], lambda seq: ERROR if seq == 1 else ACK).post(8)
    assert play.sent == [1, 1, 1, 1, 1, 2, 3, 4]
    assert play.suspects.choose([1], play.now) is None
    play.pending.append(5)
    play.now = 5 * 60 + HOUR
    assert play.suspects.choose([1, 5], play.now) == 1


def test_a_deferred_reading_is_to_blame_after_ten_tries_and_a_day_in_which_others_passed() -> None:
    play = Play([1], lambda seq: ERROR if seq == 1 else ACK)
    for seq in range(2, 2000):
        play.pending.append(seq)
        play.post(2)
        if play.aside:
            break
    assert play.aside == [1]
    assert 24 * HOUR <= play.now <= 26.5 * HOUR
    assert 25 <= play.sent.count(1) <= 31


def test_a_deferred_reading_that_is_accepted_after_all_is_delivered() -> None:
    play = Play([1, 2, 3], lambda seq: ERROR if seq == 1 else ACK).post(7)
    play.answer = lambda _: ACK
    play.now += HOUR
    play.post()
    assert (play.pending, play.suspects) == ([], Suspects())


def test_a_deferred_reading_is_not_tried_again_while_nothing_else_passes() -> None:
    play = Play([1, 2, 3], lambda seq: ERROR if seq == 1 else ACK).post(7)
    play.now += HOUR
    play.post()  # overtaken before, so it is tried; from here on nothing is accepted
    play.answer = lambda _: BUSY
    play.pending.append(4)
    play.now += 2 * HOUR
    assert play.post(5).sent[-5:] == [4] * 5


def test_two_poisoned_readings_in_a_row_do_not_keep_the_others() -> None:
    play = Play([1, 2, 3, 4, 5], lambda seq: ERROR if seq in {1, 2} else ACK).post(100)
    assert play.pending == [1, 2]
    assert play.now < 2 * HOUR
