"""What one answer of the shield means for the reading that was sent; only what says so acknowledges it."""

from datetime import UTC, datetime
from enum import Enum
from typing import Final

from agent.delivery.offer import Offer
from agent.record import dataclass

MAX_RETRY_AFTER: Final = 3600.0  # seconds; a shield that asks for more is asked again after an hour
EDGE_WORDS: Final = (b"certificate", b"ssl")  # nginx: "400 No required SSL certificate was sent"


class Verdict(Enum):
    """What an answer means for the reading that was sent."""

    ACK = "stored at the other end"
    REJECT = "this reading is refused, others need not be"
    HOLD = "this device is refused, nothing is wrong with the reading"
    RETRY = "not now"
    MISDIRECTED = "not the shield's answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from one POST. `status` is None when no HTTP answer came; `detail` is safe to log.

    `retry_after` is in seconds. `ambiguous`: the request may have been stored although no answer says so. `stale`:
    not a byte came back, on a connection that had been used before; the server may have closed it meanwhile.
    `offer` is what it announced, None if it does not tell; `results` are those of a batch, one for each reading.
    """

    verdict: Verdict
    status: int | None = None
    retry_after: float | None = None
    detail: str = ""
    ambiguous: bool = False
    stale: bool = False
    offer: Offer | None = None
    results: "tuple[Answer, ...]" = ()


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
    if status in {408, 425, 429} or status >= 500:
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
    from email.utils import parsedate_to_datetime  # with what it brings, 3 % of the CPU to the first sample

    try:
        when = parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # the latter for a year or a zone beyond a C int
        return None
    if now is None:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max((when - now).total_seconds(), 0.0), MAX_RETRY_AFTER)
