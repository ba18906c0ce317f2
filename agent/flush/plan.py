"""What delivery is told and what it tells: records, and the one thing that it needs of the uplink."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from agent.binding import UNKNOWN, Board
from agent.delivery import Answer, Backoff, Verdict
from agent.record import dataclass, replace
from agent.spool import Spooled


class Poster(Protocol):
    """What delivery needs of the uplink."""

    def post(self, body: bytes, *, key: str) -> Answer:
        """The answer to one reading; never raises for the outside world."""
        ...

    def post_batch(self, items: Sequence[bytes], *, gzip: bool) -> Answer:
        """The answer to several readings in one request, with `results` if it tells of each; never raises either."""
        ...

    def recent(self) -> tuple[Answer, list[Any]]:
        """The answer to a question for the most recent readings, and those listed."""
        ...

    def close(self) -> None: ...

    def stop(self) -> bool:
        """Begin no request any more; gives whether one may be in flight. Called from another thread."""
        ...

    def abort(self) -> None:
        """Cut the request in flight short; called from another thread."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How to deliver, all from one configuration: `connect` makes the uplink that shows a pair,
    `files` gives the certificate and key to look at, `body` a reading's bytes, `key` its Idempotency-Key;
    `here` is the board that the pair must be for. With `live_first` the newest tick goes before what has waited.
    """

    connect: Callable[[tuple[str, str]], Poster]
    files: Callable[[], tuple[str, str]]
    body: Callable[[Spooled], bytes]
    key: Callable[[int], str]
    backoff: Backoff
    here: Board = UNKNOWN
    live_first: bool = False


@dataclass(frozen=True, slots=True)
class Delivered:
    """Counts since start. `last_ack` is in UTC seconds; `last_status` the latest HTTP status, `detail` its words.

    A POST of several readings counts as one for each. `found` of those acknowledged had lost their answer and were
    then seen in the shield's list.
    """

    posted: int = 0
    acknowledged: int = 0
    ambiguous: int = 0
    found: int = 0
    last_ack: float | None = None
    last_status: int | None = None
    detail: str = ""

    def after(self, answer: Answer, *, utc: float) -> "Delivered":
        """The counts after the answer to one more POST."""
        acknowledged = answer.verdict is Verdict.ACK
        return Delivered(  # not `replace`, which costs five times as much, at each reading
            self.posted + 1,
            self.acknowledged + acknowledged,
            self.ambiguous + answer.ambiguous,
            self.found,
            utc if acknowledged else self.last_ack,
            self.last_status if answer.status is None else answer.status,
            answer.detail,
        )

    def after_batch(self, answer: Answer, *, sent: int, utc: float) -> "Delivered":
        """The counts after the answer to one POST of `sent` readings."""
        acknowledged = sum(each.verdict is Verdict.ACK for each in answer.results)
        return replace(
            self,
            posted=self.posted + sent,
            acknowledged=self.acknowledged + acknowledged,
            ambiguous=self.ambiguous + (sent if answer.ambiguous else 0),
            last_ack=utc if acknowledged else self.last_ack,
            last_status=self.last_status if answer.status is None else answer.status,
            detail=answer.detail,
        )

    def after_found(self, *, utc: float) -> "Delivered":
        """The counts after the shield listed a reading whose answer was lost."""
        return replace(self, acknowledged=self.acknowledged + 1, found=self.found + 1, last_ack=utc, detail="")
