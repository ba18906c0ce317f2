"""What the shield's answers mean and when to try again: the design's table, row by row."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from tenacity import RetryCallState, Retrying, wait_random_exponential

from agent.delivery import Answer, Backoff, Line, LineState, Verdict, judge, retry_after

NGINX_400 = b"<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (201, Verdict.ACK),
        *((status, Verdict.REJECT) for status in (400, 413, 422)),
        *((status, Verdict.HOLD) for status in (401, 403, 407)),
        *((status, Verdict.RETRY) for status in (408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525)),
        *((status, Verdict.RETRY) for status in (501, 505, 526, 527, 530, 599)),
        *((status, Verdict.MISDIRECTED) for status in (200, 202, 204, 206, 300, 301, 302, 303, 304, 307, 308)),
        *((status, Verdict.MISDIRECTED) for status in (402, 404, 405, 406, 409, 410, 411, 414, 415, 421, 426, 431)),
        *((status, Verdict.MISDIRECTED) for status in (100, 101, 451)),
    ],
)
def test_a_status_means(status: int, verdict: Verdict) -> None:
    assert judge(status) is verdict


def test_the_accepted_statuses_may_be_others() -> None:
    assert judge(202, accept=(200, 202)) is Verdict.ACK
    assert judge(201, accept=(200, 202)) is Verdict.MISDIRECTED


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize(
    ("content_type", "text", "verdict"),
    [
        ("text/html", NGINX_400, Verdict.HOLD),
        ("", NGINX_400, Verdict.HOLD),
        ("text/html; charset=UTF-8", b"", Verdict.HOLD),
        ("TEXT/HTML", b"Bad Request", Verdict.HOLD),
        ("text/plain", b"400 The SSL certificate error", Verdict.HOLD),
        ("application/json", b'{"error":"client_certificate_required"}', Verdict.HOLD),
        ("application/json", b'{"error":"temperature is missing"}', Verdict.REJECT),
        ("text/plain", b"Invalid request", Verdict.REJECT),
        ("", b"", Verdict.REJECT),
        ("application/json", b" " * 3000 + b"certificate", Verdict.REJECT),
    ],
)
def test_a_refusal_by_the_edge_is_not_about_the_reading(
    status: int, content_type: str, text: bytes, verdict: Verdict
) -> None:
    assert judge(status, content_type=content_type, text=text) is verdict


NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("30", 30.0),
        (" 120 ", 120.0),
        ("3601", 3600.0),
        ("9" * 400, 3600.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None),
        ("Sun, 06 Nov 2026 08:49:37 +99999999999999", None),
        ("Wed, 25 Nov 2026 12:01:30 GMT", 90.0),
        ("Wed, 25 Nov 2026 11:00:00 GMT", 0.0),
        ("Wed, 25 Nov 2026 12:01:30 -0000", 90.0),
        ("Wed, 25 Nov 2026 13:01:30 +0100", 90.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("Wed, 99 Nov 2026 12:01:30 GMT", None),
        ("Wed, 25 Nov 99999 12:01:30 GMT", None),
        ("Wed, 25 Nov 2026 12:01:30 +9999", None),
        ("Mon, 01 Jan 0001 00:00:00 +2300", 0.0),
        ("²", None),
        ("\x00", None),
    ],
)
def test_a_retry_after_asks_for(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=NOW) == seconds


def test_a_date_cannot_be_counted_from_an_unknown_now() -> None:
    assert retry_after("Wed, 25 Nov 2026 12:01:30 GMT") is None


BACKOFF = Backoff(cap=300.0, first=1.0, pace=1.05)


def after(line: Line, verdict: Verdict, *, jitter: float = 0.5, wait: float | None = None) -> Line:
    answer = Answer(verdict, retry_after=wait)
    return line.after(answer, now=100.0, sent=99.5, jitter=jitter, backoff=BACKOFF)


@pytest.mark.parametrize(
    ("verdict", "state", "failures", "not_before"),
    [
        (Verdict.ACK, LineState.ONLINE, 0, 100.55),
        (Verdict.REJECT, LineState.ONLINE, 4, 104.0),
        (Verdict.RETRY, LineState.BACKOFF, 4, 104.0),
        (Verdict.HOLD, LineState.HOLD, 4, 460.0),
        (Verdict.MISDIRECTED, LineState.MISDIRECTED, 4, 460.0),
    ],
)
def test_a_verdict_makes_the_line(verdict: Verdict, state: LineState, failures: int, not_before: float) -> None:
    line = after(Line(failures=3), verdict)
    assert (line.state, line.failures) == (state, failures)
    assert line.not_before == pytest.approx(not_before)


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("failures", [0, 1, 7, 40, 10_000])
def test_no_verdict_lets_the_pace_be_broken_or_the_wait_grow_without_bound(
    verdict: Verdict, jitter: float, failures: int
) -> None:
    line = after(Line(failures=failures), verdict, jitter=jitter)
    assert 99.5 + BACKOFF.pace <= line.not_before <= 100 + 3 * BACKOFF.cap


@pytest.mark.parametrize(("failures", "most"), [(0, 1.0), (1, 2.0), (5, 32.0), (8, 256.0), (9, 300.0), (60, 300.0)])
def test_the_wait_after_a_passing_fault_doubles_up_to_the_cap(failures: int, most: float) -> None:
    assert BACKOFF.delay(failures + 1, jitter=1.0) == most
    assert BACKOFF.delay(failures + 1, jitter=0.0) == 0.0


@pytest.mark.parametrize(("asked", "jitter", "waits"), [(30.0, 0.0, 30.0), (30.0, 1.0, 33.0), (0.0, 0.5, 0.55)])
def test_a_retry_after_is_obeyed_with_a_little_spread(asked: float, jitter: float, waits: float) -> None:
    assert after(Line(), Verdict.RETRY, jitter=jitter, wait=asked).not_before == pytest.approx(100 + waits)


def test_a_line_remembers_since_when_it_is_in_its_state() -> None:
    line = Line(state=LineState.BACKOFF, since=7.0)
    assert after(line, Verdict.RETRY).since == 7.0
    assert after(line, Verdict.ACK).since == 100.0


def test_a_blocked_line_waits_for_ever() -> None:
    assert Line().blocked(5.0, LineState.UNENROLLED).not_before == math.inf


def test_a_released_line_may_post_at_once() -> None:
    line = after(Line(), Verdict.HOLD).released(101.0)
    assert line.may_post(101.0)
    assert not line.may_post(100.9)


def test_an_unenrolled_line_is_idle_once_it_is_released() -> None:
    assert Line().blocked(5.0, LineState.UNENROLLED).released(6.0).state is LineState.IDLE


@pytest.mark.parametrize("failures", range(1, 40))
def test_full_jitter_is_tenacitys(failures: int) -> None:
    random = wait_random_exponential(multiplier=BACKOFF.first, max=BACKOFF.cap)
    state = RetryCallState(retry_object=Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = failures
    assert max(random(state) for _ in range(400)) <= BACKOFF.delay(failures, jitter=1.0)
    assert max(random(state) for _ in range(400)) > BACKOFF.delay(failures, jitter=0.8)


def test_a_request_that_died_on_a_stale_connection_is_tried_again_at_once_but_only_once() -> None:
    stale = Answer(Verdict.RETRY, ambiguous=True, stale=True)
    line = Line(state=LineState.ONLINE).after(stale, now=100.0, sent=99.5, jitter=0.5, backoff=BACKOFF)
    assert line.state is LineState.ONLINE
    assert line.not_before == pytest.approx(100.55)
    line = line.after(stale, now=200.0, sent=199.5, jitter=0.5, backoff=BACKOFF)
    assert (line.state, line.not_before) == (LineState.BACKOFF, 201.0)


@dataclass
class Store:
    """Takes a write every so many seconds and says 500 or 429 to those that come sooner."""

    every: float
    refusal: Answer
    written: float = -1e9

    def put(self, now: float) -> Answer:
        if now - self.written < self.every:
            return self.refusal
        self.written = now
        return Answer(Verdict.ACK, 201)


def deliver(store: Store, backoff: Backoff, *, posts: int, line: Line, now: float) -> tuple[int, float, Line]:
    """How many of the POSTs are stored, when the last one is over, and the line then."""
    stored = 0
    for _ in range(posts):
        now = max(now, line.not_before)
        answer = store.put(now)
        stored += answer.verdict is Verdict.ACK
        line = line.after(answer, now=now, sent=now, jitter=0.5, backoff=backoff)
    return stored, now, line


@pytest.mark.parametrize(
    ("status", "every", "pace"), [(429, 1.0, 0.0), (429, 3.0, 1.05), (500, 3.0, 1.05), (500, 10.0, 1.05)]
)
def test_a_store_that_takes_less_is_asked_less_often_and_nearly_always_takes_it(
    status: int, every: float, pace: float
) -> None:
    backoff = Backoff(pace=pace)
    store = Store(every, Answer(Verdict.RETRY, status))
    _, now, line = deliver(store, backoff, posts=50, line=Line(), now=0.0)
    stored, end, line = deliver(store, backoff, posts=500, line=line, now=now)
    assert stored / 500 > 0.85
    assert (end - now) / stored < 1.6 * every
    store.every = 0.0
    _, _, line = deliver(store, backoff, posts=150, line=line, now=end)
    assert line.interval == pace


def test_where_no_pace_is_asked_for_a_500_is_not_about_it() -> None:
    line = Line().after(Answer(Verdict.RETRY, 500), now=0.0, sent=0.0, jitter=0.5, backoff=Backoff(pace=0.0))
    assert line.after(Answer(Verdict.ACK, 201), now=9.0, sent=9.0, jitter=0.5, backoff=Backoff(pace=0.0)).interval == 0


def test_an_outage_does_not_slow_what_comes_after_it() -> None:
    line = Line(state=LineState.ONLINE)
    for status in (503, None, 502, 520):
        line = line.after(Answer(Verdict.RETRY, status), now=0.0, sent=0.0, jitter=0.5, backoff=BACKOFF)
    assert line.after(Answer(Verdict.ACK, 201), now=9.0, sent=9.0, jitter=0.5, backoff=BACKOFF).interval == BACKOFF.pace
