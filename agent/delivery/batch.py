"""How many readings go in one request, and what its answer means for each of them.

A refusal of a whole request, or of all that is in it, blames no reading: the next one is smaller, or a single one. A
shield that refuses a batch again after that is not sent any for an hour, whatever it announces.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from agent.delivery.answer import Answer, Verdict, judge
from agent.delivery.offer import NOTHING, Offer
from agent.printable import printable
from agent.record import dataclass, replace

BODY_BYTES: Final = 256 << 10  # before compression; a quarter of what the shield must take
STEP: Final = 4  # how much smaller after trouble, how much larger after success: 500 is four requests from 1
AGAIN_SECONDS: Final = 3600.0
TOO_MUCH: Final = {500, 504, 524}  # what a request that takes too long may be answered
STORED: Final = 201  # of an item, whatever a single POST is acknowledged with
# of the items that were not acknowledged, the first one of the first of these speaks for the request
WORST: Final = (Verdict.HOLD, Verdict.MISDIRECTED, Verdict.RETRY, Verdict.REJECT)


@dataclass(frozen=True, slots=True)
class Batching:
    """`size` readings may go in the next request, and never more than `ceiling`. `plain`: gzip was refused.

    `refused`: the latest batch was not understood; until `deaf_until` (monotonic s) no announcement is believed.
    """

    offer: Offer = NOTHING
    size: int = 1
    ceiling: int = 1
    plain: bool = False
    refused: bool = False
    deaf_until: float = float("-inf")

    @property
    def gzip(self) -> bool:
        """Whether a batch may go compressed."""
        return self.offer.gzip and not self.plain

    def after(self, answer: Answer, *, sent: int, now: float) -> "Batching":
        """After an answer to a request of `sent` readings. An answer that announces nothing ends what was offered."""
        heard = self._heard(answer.offer, now)
        if sent == 1 and heard.size == heard.ceiling:
            return heard
        if any(each.verdict is not Verdict.REJECT for each in answer.results) or (
            sent == 1 and answer.verdict is Verdict.ACK
        ):
            refused = heard.refused and sent == 1
            return replace(heard, size=min(heard.size * STEP, heard.ceiling), refused=refused)
        return heard if sent == 1 else heard.after_trouble(answer, sent=sent, now=now)

    def after_trouble(self, answer: Answer, *, sent: int, now: float) -> "Batching":
        """After an answer to a batch that tells of none of its readings, or refuses each of them."""
        smaller = sent // STEP
        if answer.status == 415 and self.gzip:
            return replace(self, plain=True)
        if answer.status == 413 and smaller > 1:
            return replace(self, size=smaller, ceiling=smaller)
        too_much = answer.status in TOO_MUCH or (answer.ambiguous and not answer.stale)
        if answer.verdict is Verdict.RETRY and (smaller > 1 or not too_much):
            return replace(self, size=smaller) if too_much else self
        return Batching(deaf_until=now + AGAIN_SECONDS) if self.refused else replace(self, size=1, refused=True)

    def _heard(self, offer: Offer | None, now: float) -> "Batching":
        if offer is None or offer is self.offer or offer == self.offer or now < self.deaf_until:
            return self
        if offer.most < 2:
            return Batching()
        return Batching(offer, size=1 if self.refused else offer.most, ceiling=offer.most, refused=self.refused)


def item(body: bytes, key: str) -> bytes:
    """A reading as an item of a batch: the object of its single POST with its key; the same bytes on every try."""
    return body[:-1] + b', "key": ' + json.dumps(key).encode() + b"}"


def fitting(items: Iterable[bytes]) -> list[bytes]:
    """As many of the first items as one request may carry; at least one."""
    chosen: list[bytes] = []
    room = BODY_BYTES
    for each in items:
        room -= len(each) + 1
        if chosen and room < 0:
            break
        chosen.append(each)
    return chosen


def results(text: bytes, *, count: int, accept: tuple[int, ...]) -> tuple[Answer, ...]:
    """What the answer 207 says of each of `count` readings, in their order; nothing if it does not say so of all."""
    try:
        listed = json.loads(text)["results"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    if not isinstance(listed, list) or len(listed) != count:
        return ()
    if not all(isinstance(each, dict) and type(each.get("status")) is int for each in listed):
        return ()
    return tuple(_answer(each, (*accept, STORED)) for each in listed)


def spoken_for(found: Sequence[Answer]) -> Answer:
    """What the answers to the readings of a batch mean for the line: one that was stored shows that it is up."""
    if any(each.verdict is Verdict.ACK for each in found):
        return Answer(Verdict.ACK, 207)
    return next(each for verdict in WORST for each in found if each.verdict is verdict)


def _answer(result: dict[str, Any], accept: tuple[int, ...]) -> Answer:
    status = result["status"]
    words = printable(result.get("error") or "", 120)
    return Answer(judge(status, accept=accept), status, detail=f"HTTP {status}" + (f": {words}" if words else ""))
