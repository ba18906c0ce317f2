"""What a fleet does after an outage of its shield: a few hundred agents on a virtual clock; `make fleet` has ten thousand."""

import pytest
from fleet.outage import GENTLY, SCENARIOS, Scenario, live_through

from agent.delivery import Answer, Backoff, Line, LineState, Offer, Verdict

ACK, DOWN = Answer(Verdict.ACK, 201), Answer(Verdict.RETRY)
GENTLE = Backoff(pace=1.0, catch_up=40.0)


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("batches", offer=Offer(500), outage=900.0),
        Scenario("singles", catch_up=GENTLY, outage=900.0),
    ],
    ids=lambda scenario: scenario.name,
)
def test_fleet_comes_back_within_one_and_a_half_times_its_usual_rate_and_as_fast_as_computed(
    scenario: Scenario,
) -> None:
    got = live_through(scenario, 120, window=60.0)
    assert got.ratio <= 1.5
    assert (got.left, len(got.first), len(got.whole)) == (0, 120, 120)
    assert got.first[-1] <= 300.1
    assert 0.8 * scenario.drained_after <= got.whole[-1] <= scenario.drained_after


def test_fleet_with_neither_comes_back_as_a_wave() -> None:
    hurried = SCENARIOS[-1]
    assert (hurried.offer.most, hurried.catch_up) == (0, 0.0)
    assert live_through(Scenario("hurried", outage=600.0), 120).ratio > 3


@pytest.mark.parametrize(
    ("down_for", "gap"), [(59.0, 1.0), (60.0, 40.0), (3600.0, 40.0)], ids=["a moment", "a minute", "an hour"]
)
def test_backlog_of_an_outage_leaves_gently_and_what_comes_after_it_as_ever(down_for: float, gap: float) -> None:
    down = Line(state=LineState.ONLINE).after(DOWN, now=0.0, sent=0.0, jitter=0.5, backoff=GENTLE)
    back = down.after(ACK, now=down_for, sent=down_for, jitter=0.5, backoff=GENTLE)
    later = back.after(ACK, now=down_for + gap, sent=down_for + gap, jitter=0.5, backoff=GENTLE)
    assert (back.not_before, later.not_before) == (down_for + gap, down_for + 2 * gap)
    caught_up = later.caught_up().after(ACK, now=5000.0, sent=5000.0, jitter=0.5, backoff=GENTLE)
    assert caught_up.not_before == 5001.0


def test_refused_readings_are_no_outage() -> None:
    refused = Line(state=LineState.ONLINE).after(
        Answer(Verdict.REJECT, 400), now=100.0, sent=100.0, jitter=0.5, backoff=GENTLE
    )
    assert refused.after(ACK, now=200.0, sent=200.0, jitter=0.5, backoff=GENTLE).not_before == 201.0
