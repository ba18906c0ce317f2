"""Several readings in one request: what is offered, how many go, and what the answer means for each; tables."""

import json
from dataclasses import replace

import pytest

from agent.delivery import Answer, Batching, Offer, Suspects, Verdict, fitting, item, offer, results, spoken_for
from agent.delivery.batch import BODY_BYTES

OFFER = Offer(500, gzip=True)
STORED, REFUSED = Answer(Verdict.ACK, 201), Answer(Verdict.REJECT, 400)
ACK = Answer(Verdict.ACK, 201, offer=OFFER)
UNDERSTOOD = Answer(Verdict.ACK, 207, offer=OFFER, results=(STORED, STORED))
LOST = Answer(Verdict.RETRY, ambiguous=True)
FULL = Batching(OFFER, size=500, ceiling=500)


@pytest.mark.parametrize(
    ("batch", "encodings", "expected"),
    [
        (None, None, Offer()),
        (None, "gzip", Offer()),
        ("500", None, Offer(500)),
        ("500", "gzip", OFFER),
        (" 500 ", "br;q=1.0, GZIP;q=0.5", OFFER),
        ("500", "gzip;q=0", Offer(500)),
        ("500", "gzip; q=0.000", Offer(500)),
        ("500", "br, x-gzip", Offer(500)),
        ("4000", None, Offer(4000)),
        (
            "999999",
            "gzip",
            Offer(4000, gzip=True),
        ),  # no request holds more, and all that is loaded for it lies in memory
        ("many", "gzip", Offer()),
        ("-1", "gzip", Offer()),
        ("٥", "gzip", Offer()),
        ("1" * 5000, "gzip", Offer()),
    ],
)
def test_offer_is_read_from_two_headers(batch: str | None, encodings: str | None, expected: Offer) -> None:
    assert offer(batch, encodings) == expected


@pytest.mark.parametrize(
    ("before", "answer", "sent", "after"),
    [
        (Batching(), ACK, 1, FULL),
        (Batching(), Answer(Verdict.ACK, 201, offer=Offer(1)), 1, Batching()),
        (FULL, Answer(Verdict.ACK, 201, offer=Offer()), 1, Batching()),  # the tutorial's was deployed again
        (FULL, Answer(Verdict.RETRY, 503), 1, FULL),
        (FULL, UNDERSTOOD, 500, FULL),
        (FULL, replace(UNDERSTOOD, offer=Offer(100)), 500, Batching(Offer(100), size=100, ceiling=100)),
        (FULL, Answer(Verdict.REJECT, 415), 500, replace(FULL, plain=True)),
        (FULL, Answer(Verdict.REJECT, 413), 500, replace(FULL, size=125, ceiling=125)),
        (FULL, Answer(Verdict.RETRY, 503), 500, FULL),
        (FULL, Answer(Verdict.RETRY, 429), 500, FULL),
        (FULL, Answer(Verdict.RETRY), 500, FULL),  # it did not get out
        (FULL, replace(LOST, stale=True), 500, FULL),
        (FULL, LOST, 500, replace(FULL, size=125)),
        (FULL, Answer(Verdict.RETRY, 500), 500, replace(FULL, size=125)),
        (FULL, Answer(Verdict.RETRY, 504), 7, replace(FULL, size=1, refused=True)),
        (replace(FULL, size=7), UNDERSTOOD, 7, replace(FULL, size=28)),
        (replace(FULL, size=1), ACK, 1, replace(FULL, size=4)),
        (replace(FULL, size=1, refused=True), ACK, 1, replace(FULL, size=4, refused=True)),
        (replace(FULL, size=4, refused=True), UNDERSTOOD, 4, replace(FULL, size=16)),
        (FULL, Answer(Verdict.REJECT, 400), 500, replace(FULL, size=1, refused=True)),
        (FULL, replace(UNDERSTOOD, results=(REFUSED, REFUSED)), 2, replace(FULL, size=1, refused=True)),
        (FULL, replace(UNDERSTOOD, results=(REFUSED, ACK)), 2, FULL),
        (FULL, Answer(Verdict.HOLD, 403), 500, replace(FULL, size=1, refused=True)),
        (FULL, Answer(Verdict.MISDIRECTED, 200), 500, replace(FULL, size=1, refused=True)),
        (replace(FULL, refused=True), Answer(Verdict.REJECT, 400), 4, Batching(deaf_until=3700.0)),
        (replace(FULL, refused=True), Answer(Verdict.RETRY, 500), 4, Batching(deaf_until=3700.0)),
        (Batching(deaf_until=101.0), ACK, 1, Batching(deaf_until=101.0)),
        (Batching(deaf_until=100.0), ACK, 1, FULL),
    ],
)
def test_how_many_go_next_follows_from_the_answer(before: Batching, answer: Answer, sent: int, after: Batching) -> None:
    assert before.after(answer, sent=sent, now=100.0) == after


def test_shield_that_takes_no_batch_although_it_announces_them_costs_two_requests_an_hour() -> None:
    batching, refusals = Batching(), 0
    for now in range(7200):
        sent = batching.size
        refusals += sent > 1
        batching = batching.after(ACK if sent == 1 else Answer(Verdict.REJECT, 400), sent=sent, now=float(now))
    assert refusals == 4


def test_body_of_a_single_post_becomes_an_item_with_its_key() -> None:
    body = b'{"temperature": "21.437", "time": "2026-11-23T09:14:22Z"}'
    assert item(body, 'rpi-"7"-1') == body[:-1] + b', "key": "rpi-\\"7\\"-1"}'
    assert json.loads(item(body, "rpi-1")) == json.loads(body) | {"key": "rpi-1"}


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [([10, 10], 2), ([BODY_BYTES], 1), ([BODY_BYTES + 1, 1], 1), ([BODY_BYTES - 12, 10, 1], 2), ([], 0)],
)
def test_request_is_bounded_in_bytes_and_carries_one_reading_at_least(sizes: list[int], chosen: int) -> None:
    assert len(fitting([b"x" * size for size in sizes])) == chosen


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        (b'{"results": [{"status": 201}, {"status": 400, "error": "x"}]}', [Verdict.ACK, Verdict.REJECT]),
        (b'{"results": [{"status": 503}, {"status": 429}], "more": 1}', [Verdict.RETRY, Verdict.RETRY]),
        (b'{"results": [{"status": 200}, {"status": 403}]}', [Verdict.MISDIRECTED, Verdict.HOLD]),
        (b'{"results": [{"status": 400, "error": "no certificate"}, {"status": 201}]}', [Verdict.REJECT, Verdict.ACK]),
        (b'{"results": [{"status": 201}]}', []),
        (b'{"results": [{"status": 201}, {"status": 201}, {"status": 201}]}', []),
        (b'{"results": [{"status": 201}, {"status": "201"}]}', []),
        (b'{"results": [{"status": 201}, {"status": true}]}', []),
        (b'{"results": [{"status": 201}, 201]}', []),
        (b'{"results": {"status": 201}}', []),
        (b'[{"status": 201}, {"status": 201}]', []),
        (b'{"results": [{"status": 201}, {"sta', []),
        (b"[" * 100_000, []),
        (b"\xff", []),
    ],
)
def test_results_count_only_if_there_is_one_for_each_reading(text: bytes, verdicts: list[Verdict]) -> None:
    assert [each.verdict for each in results(text, count=2, accept=(201,))] == verdicts


def test_result_is_told_in_one_printable_line() -> None:
    [told] = results(b'{"results": [{"status": 400, "error": "time:\\n\\u001b[7m no"}]}', count=1, accept=(201,))
    assert told.detail == "HTTP 400: time: ?[7m no"


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ([201, 400], Verdict.ACK),
        ([503, 201], Verdict.ACK),
        ([400, 503], Verdict.RETRY),
        ([503, 403], Verdict.HOLD),
        ([503, 200], Verdict.MISDIRECTED),
        ([400, 400], Verdict.REJECT),
    ],
)
def test_line_follows_what_was_stored_or_else_the_worst(statuses: list[int], verdict: Verdict) -> None:
    text = json.dumps({"results": [{"status": status} for status in statuses]}).encode()
    assert spoken_for(results(text, count=2, accept=(201,))).verdict is verdict


def test_what_is_refused_together_with_others_that_are_accepted_is_to_blame_the_second_time() -> None:
    suspects, first = Suspects().after_batch({1: REFUSED, 2: STORED, 3: REFUSED}, 0.0)
    assert suspects.of[1].overtaken
    assert suspects.of[3].overtaken
    again, second = suspects.after_batch({1: REFUSED, 3: STORED, 4: REFUSED}, 1.0)
    assert (first, second, set(again.of)) == (set(), {1}, {4})


def test_batch_of_which_all_are_refused_tells_nothing_of_any() -> None:
    known, _ = Suspects().after_batch({1: REFUSED, 2: REFUSED, 3: STORED}, 0.0)
    assert known.after_batch({1: REFUSED, 2: REFUSED}, 1.0) == (known, set())
    assert known.after_batch({1: REFUSED}, 1.0)[1] == {1}


def test_reading_that_alone_is_answered_500_is_deferred_and_the_others_leave_meanwhile() -> None:
    suspects = Suspects()
    for number in range(1, 7):
        sent = [seq for seq in (0, number) if seq not in suspects.of or suspects.of[seq].may_tell(float(number))]
        answers = {seq: STORED if seq else Answer(Verdict.RETRY, 500) for seq in sent}
        suspects, _ = suspects.after_batch(answers, float(number))
    assert suspects.is_deferred(0)
