"""What an answer of the shield means, and when to try again: pure, so every rule is a row of a table test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, StrEnum
from typing import Final

MAX_RETRY_AFTER: Final = 3600.0  # seconds; a shield that asks for more is asked again after an hour
MANY: Final = 5  # different readings refused in a row: then it is the API that refuses, not the readings
EDGE_WORDS: Final = (b"certificate", b"ssl")  # nginx: "400 No required SSL certificate was sent"


class Verdict(Enum):
    """What an answer means for the reading that was sent."""

    ACK = "stored at the other end"
    REJECT = "this reading is refused, others need not be"
    HOLD = "this device is refused, nothing is wrong with the reading"
    RETRY = "not now"
    MISDIRECTED = "not the shield's answer"


class LineState(StrEnum):
    """The state of the connection, in the words of `status`."""

    IDLE = "idle"  # nothing was sent since start
    ONLINE = "online"
    BACKOFF = "backoff"
    HOLD = "hold"
    MISDIRECTED = "misdirected"
    UNENROLLED = "unenrolled"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from one POST. `status` is None when no HTTP answer came; `detail` is safe to log.

    `retry_after` is in seconds. `ambiguous`: the request may have been stored although no answer says so.
    """

    verdict: Verdict
    status: int | None = None
    retry_after: float | None = None
    detail: str = ""
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waiting rule in seconds: `cap` bounds the wait after a passing fault, three caps that after a refusal."""

    cap: float = 300.0
    first: float = 1.0
    pace: float = 1.05

    def delay(self, failures: int, *, jitter: float) -> float:
        """Full jitter: uniform over 0 … min(cap, first·2ⁿ), so a fleet does not come back as one wave."""
        return jitter * min(self.cap, self.first * 2.0 ** min(failures - 1, 32))

    def long_delay(self, failures: int, *, jitter: float) -> float:
        """After a refusal: a fifth of the cap, doubling to three caps (15 min by default), upper half jittered."""
        return (0.5 + jitter / 2) * min(3 * self.cap, self.cap / 5 * 2.0 ** min(failures - 1, 32))


@dataclass(frozen=True, slots=True)
class Line:
    """State of the connection. `since` is when it was entered, `not_before` the earliest next POST (monotonic s).

    `failures` counts unacknowledged answers in a row.
    """

    state: LineState = LineState.IDLE
    since: float = 0.0
    failures: int = 0
    not_before: float = 0.0

    def may_post(self, now: float) -> bool:
        """Whether pacing and back-off allow a POST at `now`."""
        return now >= self.not_before

    def after(self, answer: Answer, *, now: float, sent: float, jitter: float, backoff: Backoff) -> "Line":
        """The line after an answer that came at `now` to a POST begun at `sent`; `jitter` is of [0, 1).

        A refused reading says that the API is there, so it keeps the line up; pacing counts from `sent`.
        """
        paced = max(now, sent + backoff.pace)
        match answer.verdict:
            case Verdict.ACK:
                return self._enter(LineState.ONLINE, now, failures=0, not_before=paced)
            case Verdict.REJECT:
                wait = backoff.delay(self.failures + 1, jitter=jitter)
                return self._enter(LineState.ONLINE, now, failures=self.failures + 1, not_before=max(paced, now + wait))
            case Verdict.RETRY:
                wait = backoff.delay(self.failures + 1, jitter=jitter)
                if answer.retry_after is not None:
                    # up to a tenth more, so that those told the same time do not all obey in the same second
                    wait = answer.retry_after * (1 + jitter / 10)
                return self._enter(
                    LineState.BACKOFF, now, failures=self.failures + 1, not_before=max(paced, now + wait)
                )
            case Verdict.HOLD | Verdict.MISDIRECTED:
                state = LineState.HOLD if answer.verdict is Verdict.HOLD else LineState.MISDIRECTED
                wait = backoff.long_delay(self.failures + 1, jitter=jitter)
                return self._enter(state, now, failures=self.failures + 1, not_before=now + wait)

    def blocked(self, now: float, state: LineState) -> "Line":
        """No usable certificate: nothing is sent until the files change."""
        return self._enter(state, now, failures=0, not_before=float("inf"))

    def released(self, now: float) -> "Line":
        """Something that may end the trouble has changed (new certificate files, SIGHUP): try at once."""
        if self.state is LineState.UNENROLLED:
            return self._enter(LineState.IDLE, now, failures=0, not_before=now)
        return replace(self, not_before=now)

    def _enter(self, state: LineState, now: float, *, failures: int, not_before: float) -> "Line":
        since = self.since if state is self.state else now
        return Line(state=state, since=since, failures=failures, not_before=not_before)


def judge(status: int, *, content_type: str = "", text: bytes = b"", accept: tuple[int, ...] = (201,)) -> Verdict:
    """What an HTTP answer means. `text` is the beginning of its body.

    Only a status of `accept` acknowledges: portals, proxies and misrouted Workers answer 200. A 400 in HTML or
    about certificates is an edge refusing everyone, not the API refusing this reading.
    """
    if status in accept:
        return Verdict.ACK
    if status in {400, 413, 422}:
        return Verdict.HOLD if _is_edge(content_type, text) else Verdict.REJECT
    if status in {401, 403, 407}:
        return Verdict.HOLD
    if status in {408, 425, 429} or (status >= 500 and status not in {501, 505}):
        return Verdict.RETRY
    return Verdict.MISDIRECTED


def _is_edge(content_type: str, text: bytes) -> bool:
    start = text[:2048].lower()
    return "html" in content_type.lower() or b"<html" in start or any(word in start for word in EDGE_WORDS)


def retry_after(header: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110 §10.2.3: seconds or a date), at most an hour.

    None when there is no header or it cannot be read; `now` is needed for the date form only.
    """
    if not header:
        return None
    if header.strip().isdecimal():
        return min(float(header), MAX_RETRY_AFTER)
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    if now is None:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max((when - now).total_seconds(), 0.0), MAX_RETRY_AFTER)


@dataclass(frozen=True, slots=True)
class Suspects:
    """Refused readings that are still in the spool: seq to whether another reading was accepted since.

    A reading is to blame only if it is refused again while others are accepted. So after a refusal the next
    reading is sent, and only when that is accepted the refused one gets its second try.
    """

    overtaken: Mapping[int, bool] = field(default_factory=dict)

    def choose(self, pending: Sequence[int]) -> int:
        """Which of the pending readings (oldest first, at least one) to send: the oldest that can tell anything new."""
        return next((seq for seq in pending if self.overtaken.get(seq, True)), pending[0])

    @property
    def refuses_everyone(self) -> bool:
        """Whether so many were refused, and nothing accepted, that it cannot be about the readings."""
        return sum(not overtaken for overtaken in self.overtaken.values()) >= MANY

    def after(self, seq: int, verdict: Verdict) -> tuple["Suspects", bool]:
        """The suspects after an answer to reading `seq`, and whether that reading is to be set aside."""
        others = {other: overtaken for other, overtaken in self.overtaken.items() if other != seq}
        match verdict:
            case Verdict.ACK:
                return Suspects(dict.fromkeys(others, True)), False
            case Verdict.REJECT if self.overtaken.get(seq, False):
                return Suspects(others), True
            case Verdict.REJECT:
                return Suspects({**others, seq: False}), False
            case _:
                return self, False
