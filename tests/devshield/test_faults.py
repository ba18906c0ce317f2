"""Faults: how they are written, in which order they act, and what the agent's uplink makes of each."""

from collections.abc import Callable

import pytest
from world.visitors import READING, Pair, visit

from agent.delivery import Answer, Verdict
from agent.devshield.faults import Fault, Faults, parse, parse_option
from agent.devshield.shield import Shield
from agent.errors import ConfigError
from agent.uplink import Target, Uplink

Post = Callable[..., Answer]


@pytest.fixture
def send(shield: Shield, device: Pair) -> Post:
    """One POST by the agent's own uplink."""

    def post(*, timeout_seconds: float = 5.0) -> Answer:
        uplink = Uplink(
            Target(url=shield.url, ca_file=str(shield.ca_file), timeout_seconds=timeout_seconds),
            (str(device[0]), str(device[1])),
        )
        try:
            return uplink.post(READING, key="sensor-001-1")
        finally:
            uplink.close()

    return post


def stored(shield: Shield) -> list[bool]:
    return [row["stored"] for row in shield.requests()]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("lost", Fault("lost")),
        ("lost*2", Fault("lost", None, 2)),
        ("429:5", Fault("429", 5.0)),
        ("429:5*3", Fault("429", 5.0, 3)),
        ("slow:0.25", Fault("slow", 0.25)),
        ("503", Fault("503")),
        ("599*1", Fault("599", None, 1)),
        ("kv-limit", Fault("kv-limit")),
    ],
)
def test_parse_reads_kind_argument_and_count(text: str, fault: Fault) -> None:
    assert parse(text, "shield") == fault


@pytest.mark.parametrize("text", ["", "nonsense", "lost:5", "503:1", "lost*0", "429:", "badjson", "slow:-1", "200"])
def test_parse_refuses_what_is_no_fault_of_the_side(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text, "shield")


@pytest.mark.parametrize(
    ("text", "side", "fault"),
    [
        ("lost", "shield", "lost"),
        ("shield:429:5", "shield", "429:5"),
        ("429:5", "shield", "429:5"),
        ("api:429:5", "api", "429:5"),
    ],
)
def test_option_names_a_side_or_means_the_shield(text: str, side: str, fault: str) -> None:
    assert parse_option(text) == (side, fault)


def test_faults_act_one_after_the_other() -> None:
    faults = Faults()
    faults.put("shield", ["503*2", "kv-limit", "429:1*1"])
    taken = [faults.take("shield", post=True) for _ in range(4)]
    assert [fault and fault.kind for fault in taken] == ["503", "503", "429", None]


def test_fault_that_needs_a_post_waits_for_one() -> None:
    faults = Faults()
    faults.put("api", ["lost*1", "500*1"])
    taken = [faults.take("api", post=post) for post in (False, False, True)]
    assert [fault and fault.kind for fault in taken] == ["500", None, "lost"]


def test_faults_of_an_unreadable_list_leave_the_old_ones() -> None:
    faults = Faults()
    faults.put("shield", ["503"])
    with pytest.raises(ConfigError):
        faults.put("shield", ["429", "nonsense"])
    taken = faults.take("shield", post=True)
    assert taken is not None
    assert taken.kind == "503"


@pytest.mark.parametrize(
    ("fault", "verdict", "status"),
    [
        ("429:7", Verdict.RETRY, 429),
        ("503", Verdict.RETRY, 503),
        ("portal", Verdict.MISDIRECTED, 200),
        ("302", Verdict.MISDIRECTED, 302),
        ("400html", Verdict.HOLD, 400),
        ("drop", Verdict.RETRY, None),
    ],
)
def test_fault_stores_nothing_and_passes(
    shield: Shield, send: Post, fault: str, verdict: Verdict, status: int | None
) -> None:
    shield.faults.put("shield", [f"{fault}*1"])
    spoiled, good = send(), send()
    assert (spoiled.verdict, spoiled.status, good.verdict) == (verdict, status, Verdict.ACK)
    assert stored(shield) == [False, True]


def test_lost_answer_is_stored_and_ambiguous(shield: Shield, send: Post) -> None:
    shield.faults.put("shield", ["lost*1"])
    answer = send()
    assert (answer.verdict, answer.ambiguous, stored(shield)) == (Verdict.RETRY, True, [True])


def test_429_says_how_long_to_wait(shield: Shield, send: Post) -> None:
    shield.faults.put("shield", ["429:7"])
    assert send().retry_after == 7.0


@pytest.mark.parametrize("fault", ["slow:30", "drip:0.2"])
def test_slow_shield_is_given_up_at_the_deadline(shield: Shield, send: Post, fault: str) -> None:
    shield.faults.put("shield", [fault])
    assert send(timeout_seconds=0.5).verdict is Verdict.RETRY


def test_drip_arrives_whole_in_the_end(shield: Shield, send: Post) -> None:
    shield.faults.put("shield", ["drip:0.0005"])
    assert send().verdict is Verdict.ACK


def test_kv_limit_refuses_the_first_post_of_an_address_and_the_second_within_a_second(
    shield: Shield, device: Pair
) -> None:
    shield.faults.put("shield", ["kv-limit"])
    got = visit(shield, device)
    assert (got.status, got.body) == (500, b"Error: KV PUT failed: 429 Too Many Requests")
