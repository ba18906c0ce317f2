"""Which reading is to blame for a refusal: blame needs proof, and the proof is another reading that was accepted.

A reading that is refused (400 in the API's own voice) gets its second try once another was accepted, and is to
blame if it is refused again. A reading that is answered 500 five times is overtaken once; if the other one is
accepted, it is deferred: tried once an hour, and to blame after ten tries and a day.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from agent.delivery.answer import Answer, Verdict
from agent.record import dataclass, field, replace

MANY: Final = 5  # different readings refused in a row: then it is the API that refuses, not the readings
PATIENCE: Final = 5  # answers of 500 to the oldest reading, until the next one is tried once
AGAIN_SECONDS: Final = 3600.0  # until a deferred reading is tried again
TRIES: Final = 10  # and a day: the tutorial's Worker says 500 for hours when its store has a bad day
DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Against one reading. `overtaken`: another one was accepted since its latest try.

    `refused` tells a 400 from a 500; for the latter `tries` are counted from `first` on (monotonic s), anew when it
    is `deferred` until `not_before`, and `streak` since another reading was tried in its place, which was done
    `rounds` times in vain.
    """

    refused: bool
    tries: int = 1
    streak: int = 1
    rounds: int = 0
    first: float = 0.0
    overtaken: bool = False
    deferred: bool = False
    not_before: float = 0.0

    def may_tell(self, now: float) -> bool:
        """Whether sending this reading now can tell anything new."""
        if self.deferred:
            return self.overtaken and now >= self.not_before
        return self.overtaken if self.refused else not self.makes_way

    def overtaken_at(self, now: float) -> "Suspicion":
        """Another reading was accepted."""
        if self.makes_way:
            return replace(self, overtaken=True, deferred=True, first=now, not_before=now + AGAIN_SECONDS)
        return replace(self, overtaken=True)

    @property
    def makes_way(self) -> bool:
        """Whether it was answered 500 so often that another reading is to be tried in its place."""
        return not self.refused and not self.deferred and self.streak >= PATIENCE

    def after_another(self) -> "Suspicion":
        """Another reading was sent and not accepted: if it was in this one's place, that was in vain."""
        return replace(self, streak=0, rounds=self.rounds + 1) if self.makes_way else self

    def failed_at(self, now: float) -> "Suspicion":
        """It was answered 500 once more."""
        return replace(
            self, tries=self.tries + 1, streak=self.streak + 1, overtaken=False, not_before=now + AGAIN_SECONDS
        )


@dataclass(frozen=True, slots=True)
class Suspects:
    """The suspected readings that are still in the spool, by number."""

    of: Mapping[int, Suspicion] = field(default_factory=dict)

    def choose(self, pending: Sequence[int], now: float) -> int | None:
        """Which of the pending readings (oldest first) to send: the oldest that can tell anything new.

        In place of one that makes way each round tries the next one further on, for poison may come in twos. If none
        can tell anything, the oldest that is not deferred; None if all are.
        """
        further, last = 0, None
        for seq in pending:
            mine = self.of.get(seq)
            if mine is None:
                if further == 0:
                    return seq
                further, last = further - 1, seq
            elif mine.may_tell(now):
                return seq
            elif mine.makes_way:
                further = mine.rounds
        return next((seq for seq in pending if not self.of[seq].deferred), None) if last is None else last

    @property
    def refuses_everyone(self) -> bool:
        """Whether so many were refused, and nothing accepted, that it cannot be about the readings."""
        return sum(each.refused and not each.overtaken for each in self.of.values()) >= MANY

    def is_deferred(self, seq: int) -> bool:
        """Whether it is known that others pass while this one does not."""
        return seq in self.of and self.of[seq].deferred

    def after(self, seq: int, answer: Answer, now: float) -> tuple["Suspects", bool]:
        """The suspects after an answer to reading `seq`, and whether that reading is to be set aside."""
        if answer.verdict is Verdict.ACK and not self.of:
            return self, False
        mine = self.of.get(seq)
        others = {other: each for other, each in self.of.items() if other != seq}
        if answer.verdict is Verdict.ACK:
            return Suspects({other: each.overtaken_at(now) for other, each in others.items()}), False
        others = {other: each.after_another() for other, each in others.items()}
        if answer.verdict is Verdict.REJECT:
            if mine and mine.refused and mine.overtaken:
                return Suspects(others), True
            return Suspects({**others, seq: Suspicion(refused=True)}), False
        if answer.verdict is not Verdict.RETRY or answer.status != 500:
            return Suspects({**others, seq: mine} if mine else others), False
        if mine is None or mine.refused:
            # in place of another one that gets 500 as well: that is an outage, about no reading
            outage = any(not each.refused and not each.deferred for each in others.values())
            return Suspects(others if outage else {**others, seq: Suspicion(refused=False, first=now)}), False
        again = mine.failed_at(now)
        if mine.deferred and mine.overtaken and again.tries >= TRIES and now - mine.first >= DAY_SECONDS:
            return Suspects(others), True
        return Suspects({**others, seq: again}), False

    def after_batch(self, answers: Mapping[int, Answer], now: float) -> tuple["Suspects", set[int]]:
        """The suspects after the answers to readings that were sent at once, and which of them are to be set aside.

        What was refused together with others that were accepted has been overtaken by them. A request of which all is
        refused tells nothing of any: that may be about the request.
        """
        if len(answers) > 1 and all(answer.verdict is Verdict.REJECT for answer in answers.values()):
            return self, set()
        suspects, to_blame = self, set()
        for seq, answer in answers.items():
            if answer.verdict is not Verdict.ACK:
                suspects, blamed = suspects.after(seq, answer, now)
                to_blame |= {seq} if blamed else set()
        accepted = {seq for seq, answer in answers.items() if answer.verdict is Verdict.ACK}
        if accepted:
            others = {seq: each.overtaken_at(now) for seq, each in suspects.of.items() if seq not in accepted}
            suspects = Suspects(others)
        return suspects, to_blame
