"""What the shield's answers mean and when to try again: the design's table, row by row."""

import math
from datetime import UTC, datetime

import pytest

from agent.delivery import Answer, Backoff, Line, LineState, Verdict, judge, retry_after

NGINX_400 = b"<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (201, Verdict.ACK),
        *((status, Verdict.REJECT) for status in (400, 413, 422)),
        *((status, Verdict.HOLD) for status in (401, 403, 407)),
        *((status, Verdict.RETRY) for status in (408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525)),
        *((status, Verdict.RETRY) for status in (526, 527, 530, 599)),
        *((status, Verdict.MISDIRECTED) for status in (200, 202, 204, 206, 300, 301, 302, 303, 304, 307, 308)),
        *((status, Verdict.MISDIRECTED) for status in (402, 404, 405, 406, 409, 410, 411, 414, 415, 421, 426, 431)),
        *((status, Verdict.MISDIRECTED) for status in (100, 101, 451, 501, 505)),
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
