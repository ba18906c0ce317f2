"""The way from a real spool to a shield whose answers are a script."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from world.identities import put_pair

from agent import reading
from agent.delivery import Answer, Backoff, LineState, Offer, Verdict
from agent.flush import LOOK_SECONDS, Flush, Plan
from agent.identity import IdentityState
from agent.reading import Reading
from agent.spool import Spool, Spooled

ACK = Answer(Verdict.ACK, 201)
REJECT = Answer(Verdict.REJECT, 400, detail="HTTP 400: poison")
RETRY = Answer(Verdict.RETRY, 503)
HOLD = Answer(Verdict.HOLD, 403)
MISDIRECTED = Answer(Verdict.MISDIRECTED, 200)
LOST = Answer(Verdict.RETRY, None, ambiguous=True)
DOWN = Answer(Verdict.RETRY, None)
STALE = Answer(Verdict.RETRY, None, ambiguous=True, stale=True)
ERROR = Answer(Verdict.RETRY, 500, detail="HTTP 500: poison")


class FakeUplink:
    """Answers as the script says, the last entry for ever; keeps what it was sent."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self.script = list(answers)
        self.batch_script: list[Answer] = []
        self.batches: list[tuple[bool, list[bytes]]] = []
        self.sent: list[tuple[str, bytes]] = []
        self.lists: list[list[bytes] | Answer] = [[]]
        self.asked = 0
        self.closed = 0
        self.pair: tuple[str, str] | None = None

    def post(self, body: bytes, *, key: str) -> Answer:
        self.sent.append((key, body))
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def post_batch(self, items: Sequence[bytes], *, gzip: bool) -> Answer:
        self.batches.append((gzip, list(items)))
        return self.batch_script.pop(0) if len(self.batch_script) > 1 else self.batch_script[0]

    def recent(self) -> tuple[Answer, list[Any]]:
        self.asked += 1
        answer = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        if isinstance(answer, Answer):
            return answer, []
        return Answer(Verdict.MISDIRECTED, 200), [json.loads(body) for body in answer]

    def close(self) -> None:
        self.closed += 1

    def stop(self) -> bool:
        return True

    def abort(self) -> None:
        self.closed += 1


class World:
    """A spool, a pair of files, a clock that only moves when told, and the uplink's script."""

    def __init__(self, directory: Path, *answers: Answer) -> None:
        self.directory = directory
        self.files = put_pair(directory)
        self.now = 100.0
        self.uplink = FakeUplink(answers or [ACK])
        self.spool = Spool(directory / "spool.db")
        self.plan = Plan(self.connect, lambda: self.files, body_of, "device-{}".format, Backoff(pace=1.0))
        self.flush = Flush(
            self.spool, self.plan, monotonic=lambda: self.now, wall=lambda: 1_790_000_000.0, jitter=lambda: 0.5
        )

    def connect(self, pair: tuple[str, str]) -> FakeUplink:
        self.uplink.pair = pair
        return self.uplink

    def spool_readings(self, *milli: int) -> None:
        self.spool.append([Reading(f"s{place}", each, 1_790_000_000 + each) for place, each in enumerate(milli)])

    def steps(self, count: int) -> None:
        """Step as often, moving the clock to when the flush wants to come again."""
        for _ in range(count):
            again = self.flush.step()
            if math.isfinite(again):
                self.now = max(self.now, again)

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self.uplink.sent]


def body_of(spooled: Spooled) -> bytes:
    return reading.body(spooled.reading, temperature_as="string")


def sent(*milli: int) -> list[bytes]:
    """The bodies of readings of `World.spool_readings`."""
    return [reading.body(Reading("s", each, 1_790_000_000 + each), temperature_as="string") for each in milli]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def build(*answers: Answer) -> World:
        made.append(World(tmp_path / str(len(made)), *answers))
        return made[-1]

    yield build
    for world in made:
        world.spool.close()


def test_readings_leave_in_order_and_once(make: Callable[..., World]) -> None:
    world = make(ACK)
    world.spool_readings(1, 2, 3)
    world.steps(5)
    assert world.keys == ["device-1", "device-2", "device-3"]
    assert world.spool.counts().pending == 0
    assert world.flush.line.state is LineState.ONLINE


def test_an_empty_spool_asks_for_no_further_step(make: Callable[..., World]) -> None:
    assert make(ACK).flush.step() == math.inf


def test_posts_are_paced(make: Callable[..., World]) -> None:
    world = make(ACK)
    world.spool_readings(1, 2)
    assert world.flush.step() == 101.0
    world.now = 100.9
    assert world.flush.step() == 101.0
    assert len(world.uplink.sent) == 1


def test_the_pace_of_the_last_post_is_kept_but_not_waited_for(make: Callable[..., World]) -> None:
    world = make(ACK)
    world.spool_readings(1)
    assert world.flush.step() == math.inf
    world.spool_readings(2)
    assert world.flush.step() == 101.0
    assert len(world.uplink.sent) == 1


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (RETRY, LineState.BACKOFF),
        (LOST, LineState.BACKOFF),
        (HOLD, LineState.HOLD),
        (MISDIRECTED, LineState.MISDIRECTED),
    ],
)
def test_a_reading_stays_until_it_is_acknowledged_and_goes_again_byte_for_byte(
    make: Callable[..., World], answer: Answer, state: LineState
) -> None:
    world = make(answer, ACK)
    world.spool_readings(1)
    world.flush.step()
    assert (world.flush.line.state, world.spool.counts().pending) == (state, 1)
    world.steps(60)
    assert world.uplink.sent == [world.uplink.sent[0]] * 2
    assert world.spool.counts().pending == 0
    assert world.flush.line.state is LineState.ONLINE


def test_a_reading_refused_twice_while_others_pass_is_set_aside_with_its_reason(make: Callable[..., World]) -> None:
    world = make(REJECT, ACK, REJECT, ACK)
    world.spool_readings(1, 2, 3)
    world.steps(8)
    assert world.keys == ["device-1", "device-2", "device-1", "device-3"]
    assert world.spool.counts().set_aside == 1
    assert world.spool.counts().pending == 0


def test_an_api_that_refuses_everyone_sets_nothing_aside_and_is_called_misdirected(make: Callable[..., World]) -> None:
    world = make(REJECT)
    world.spool_readings(1, 2, 3, 4, 5, 6)
    world.steps(40)
    assert world.spool.counts().set_aside == 0
    assert world.spool.counts().pending == 6
    assert world.flush.line.state is LineState.MISDIRECTED


def test_after_refusing_everyone_the_api_gets_every_reading_once_it_is_well(make: Callable[..., World]) -> None:
    world = make(*[REJECT] * 12, ACK)
    world.spool_readings(1, 2, 3, 4, 5, 6)
    world.steps(60)
    assert world.spool.counts().pending == 0
    assert world.spool.counts().set_aside == 0


def test_a_single_poisoned_reading_waits_for_another_one(make: Callable[..., World]) -> None:
    world = make(REJECT, REJECT, REJECT, ACK, REJECT, ACK)
    world.spool_readings(1)
    world.steps(3)
    assert world.spool.counts().set_aside == 0
    world.spool_readings(2)
    world.steps(60)
    assert (world.spool.counts().pending, world.spool.counts().set_aside) == (0, 1)


@pytest.mark.parametrize("damage", ["missing", "empty", "mismatched"])
def test_unusable_certificate_files_keep_readings_until_they_are_mended(
    make: Callable[..., World], tmp_path: Path, damage: str
) -> None:
    world = make(ACK)
    cert = Path(world.files[0])
    good = cert.read_bytes()
    if damage == "missing":
        cert.unlink()
    elif damage == "empty":
        cert.write_bytes(b"")
    else:
        cert.write_bytes(Path(put_pair(tmp_path / "other")[0]).read_bytes())
    world.spool_readings(1)
    world.steps(3)
    assert world.uplink.sent == []
    assert world.flush.line.state is (LineState.HOLD if damage == "mismatched" else LineState.UNENROLLED)
    cert.write_bytes(good)
    world.now += LOOK_SECONDS
    world.steps(2)
    assert world.spool.counts().pending == 0


def test_new_certificate_files_are_tried_at_once_when_the_old_ones_are_refused(make: Callable[..., World]) -> None:
    world = make(HOLD, ACK)
    world.spool_readings(1)
    world.flush.step()
    again = world.flush.step()
    assert again <= world.now + LOOK_SECONDS
    put_pair(world.directory, "sensor-001.renewed.example.com")
    world.now = again
    world.flush.step()
    assert world.spool.counts().pending == 0
    assert world.flush.identity.certificate is not None
    assert world.flush.identity.certificate.name == "sensor-001.renewed.example.com"


def test_a_renewed_certificate_is_taken_up_without_a_refusal(make: Callable[..., World]) -> None:
    world = make(ACK)
    world.spool_readings(1)
    world.steps(2)
    put_pair(world.directory, "sensor-001.renewed.example.com")
    world.now += LOOK_SECONDS
    world.spool_readings(2)
    world.steps(2)
    assert world.uplink.closed == 1
    assert world.spool.counts().pending == 0


def test_a_refusal_makes_it_look_at_its_own_certificate(make: Callable[..., World]) -> None:
    from datetime import UTC, datetime

    world = make(HOLD)
    put_pair(world.directory, not_before=datetime(2026, 1, 1, tzinfo=UTC), not_after=datetime(2026, 9, 1, tzinfo=UTC))
    world.spool_readings(1)
    world.flush.step()
    assert world.flush.identity.state is IdentityState.EXPIRED


def test_a_new_plan_holds_from_the_next_step_on_and_tries_at_once(make: Callable[..., World]) -> None:
    world = make(MISDIRECTED)
    world.spool_readings(1)
    world.flush.step()
    other = FakeUplink([ACK])
    world.flush.replan(Plan(lambda _: other, lambda: world.files, body_of, "renamed-{}".format, Backoff()))
    world.flush.step()
    assert [key for key, _ in other.sent] == ["renamed-1"]


def test_a_plan_that_comes_in_the_middle_of_a_step_holds_from_the_next_one_on(make: Callable[..., World]) -> None:
    world, other = make(ACK), FakeUplink([ACK])
    coming = Plan(lambda _: other, lambda: world.files, body_of, "renamed-{}".format, Backoff())

    def files() -> tuple[str, str]:
        if not world.uplink.sent:
            world.flush.replan(coming)  # as the main thread does at a SIGHUP
        return world.files

    world.flush.replan(replace(world.plan, files=files))
    world.spool_readings(1, 2)
    world.steps(3)
    assert (world.keys, [key for key, _ in other.sent]) == (["device-1"], ["renamed-2"])


def test_counts_tell_acknowledged_from_ambiguous(make: Callable[..., World]) -> None:
    world = make(LOST, ACK)
    world.spool_readings(1)
    world.steps(4)
    delivered = world.flush.delivered
    assert (delivered.posted, delivered.acknowledged, delivered.ambiguous, delivered.last_status) == (2, 1, 1, 201)


def test_drain_ends_with_the_spool_or_with_the_shields_patience(make: Callable[..., World]) -> None:
    world = make(ACK, RETRY)
    world.spool_readings(1, 2, 3)

    def wait(seconds: float) -> None:
        world.now += seconds

    world.flush.drain(wait)
    assert len(world.uplink.sent) == 2
    assert world.spool.counts().pending == 2


def test_one_line_is_logged_for_an_episode(make: Callable[..., World], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "agent")
    world = make(RETRY, RETRY, RETRY, ACK)
    world.spool_readings(1, 2)
    world.steps(12)
    assert [record.getMessage() for record in caplog.records] == ["uplink down", "uplink online"]


@pytest.mark.parametrize("lost", [LOST, STALE])
def test_a_reading_whose_answer_was_lost_is_looked_for_and_not_sent_again_if_it_is_there(
    make: Callable[..., World], lost: Answer
) -> None:
    world = make(ACK, lost, ACK)
    world.uplink.lists = [sent(2, 1)]
    world.spool_readings(1, 2, 3)
    world.steps(8)
    assert world.keys == ["device-1", "device-2", "device-3"]
    assert world.uplink.asked == 1
    assert world.spool.counts().pending == 0
    delivered = world.flush.delivered
    assert (delivered.posted, delivered.acknowledged, delivered.ambiguous, delivered.found) == (3, 3, 1, 1)
    assert world.flush.line.state is LineState.ONLINE


def test_a_reading_that_is_not_listed_is_sent_again(make: Callable[..., World]) -> None:
    world = make(LOST, ACK)
    world.spool_readings(1)
    world.steps(8)
    assert world.keys == ["device-1", "device-1"]
    assert world.uplink.asked == 1
    assert world.spool.counts().pending == 0


def test_a_shield_that_does_not_answer_is_asked_again_and_then_sent_the_reading(make: Callable[..., World]) -> None:
    world = make(LOST, ACK)
    world.uplink.lists = [LOST]
    world.spool_readings(1)
    world.steps(60)
    assert world.keys == ["device-1", "device-1"]
    assert world.uplink.asked == 5


def test_the_network_may_come_back_long_after_the_answer_was_lost(make: Callable[..., World]) -> None:
    world = make(ACK, LOST)
    world.uplink.lists = [*[DOWN] * 20, sent(2, 1)]
    world.spool_readings(1, 2)
    world.steps(90)
    assert world.keys == ["device-1", "device-2"]
    assert world.spool.counts().pending == 0


def test_a_double_of_another_sensor_is_no_proof(make: Callable[..., World]) -> None:
    world = make(ACK, LOST, ACK)
    world.uplink.lists = [[reading.body(Reading("attic", 21_000, 1_790_000_000), temperature_as="string")]]
    world.spool.append([Reading(sensor, 21_000, 1_790_000_000) for sensor in ("attic", "cellar")])
    world.steps(12)
    assert world.uplink.asked == 0
    assert world.keys == ["device-1", "device-2", "device-2"]


def test_a_reading_that_an_earlier_process_may_have_sent_a_double_of_is_sent_again(make: Callable[..., World]) -> None:
    world = make(LOST, ACK)
    world.uplink.lists = [sent(1)]
    world.spool_readings(1)
    world.flush = Flush(
        world.spool, world.plan, monotonic=lambda: world.now, wall=lambda: 1_790_000_000.0, jitter=lambda: 0.5
    )
    world.steps(12)
    assert (world.uplink.asked, world.keys) == (0, ["device-1", "device-1"])


def test_a_poisoned_reading_is_overtaken_and_the_line_stays_up(make: Callable[..., World]) -> None:
    world = make(ERROR, ERROR, ERROR, ERROR, ERROR, ACK)
    world.spool_readings(1, 2, 3)
    world.steps(14)
    assert world.keys == ["device-1"] * 5 + ["device-2", "device-3"]
    assert world.flush.step() == math.inf
    world.now += 3601
    world.uplink.script = [ERROR, ACK]
    world.spool_readings(4)
    world.steps(1)
    assert world.keys[-1] == "device-1"
    assert world.flush.line.state is LineState.ONLINE
    world.steps(3)
    assert world.keys[-1] == "device-4"


def test_a_poisoned_reading_is_set_aside_after_a_day_of_tries(make: Callable[..., World]) -> None:
    world = make(ACK)
    answer = world.uplink.post
    world.uplink.post = lambda body, *, key: ERROR if key == "device-1" else answer(body, key=key)  # type: ignore[method-assign]
    world.spool_readings(1)
    for hour in range(30):
        world.spool.append([Reading("other", hour, 1_790_000_000 + 3600 * hour)])
        world.steps(30)
        world.now += 3600
    assert (world.spool.counts().set_aside, world.spool.counts().pending) == (1, 0)


def live_first(world: World) -> World:
    world.flush.replan(replace(world.plan, live_first=True))
    return world


def test_the_newest_tick_goes_first_and_the_backlog_follows_in_order(make: Callable[..., World]) -> None:
    world = live_first(make(RETRY, ACK))
    world.spool_readings(1, 2, 3)
    world.spool_readings(4, 5)
    world.steps(3)
    assert world.keys == ["device-4", "device-4", "device-5"]
    world.steps(1)
    world.spool_readings(6)
    world.steps(6)
    assert world.keys[3:] == ["device-1", "device-6", "device-2", "device-3"]
    assert world.spool.counts().pending == 0


def test_a_newest_tick_that_is_refused_does_not_keep_the_backlog(make: Callable[..., World]) -> None:
    world = live_first(make(REJECT, ACK, REJECT, ACK))
    world.spool_readings(1, 2)
    world.spool_readings(3)
    world.steps(8)
    assert world.keys == ["device-3", "device-1", "device-3", "device-2"]
    assert (world.spool.counts().pending, world.spool.counts().set_aside) == (0, 1)


def test_a_held_tick_is_not_sent_first(make: Callable[..., World]) -> None:
    world = live_first(make(ACK))
    world.spool_readings(1)
    world.spool.append([Reading("s0", 2, 60)], boot_id="boot")
    world.steps(4)
    assert world.keys == ["device-1"]


def test_without_it_the_oldest_goes_first(make: Callable[..., World]) -> None:
    world = make(RETRY, ACK)
    world.spool_readings(1)
    world.spool_readings(2)
    world.steps(4)
    assert world.keys == ["device-1", "device-1", "device-2"]


def test_what_kept_the_line_down_may_end_early(make: Callable[..., World]) -> None:
    world = make(MISDIRECTED, ACK)
    world.spool_readings(1)
    assert world.flush.step() > world.now + 30
    world.flush.try_now()
    world.flush.step()
    assert world.spool.counts().pending == 0


OFFER = Offer(500, gzip=True)
OFFERED = Answer(Verdict.ACK, 201, offer=OFFER)


def told(*answers: Answer) -> Answer:
    """An answer to a batch that tells of each of its readings."""
    return Answer(Verdict.ACK, 207, offer=OFFER, results=answers)


def items_of(world: World) -> list[list[str]]:
    """The numbers in each batch."""
    return [[json.loads(each)["key"].removeprefix("device-") for each in items] for _, items in world.uplink.batches]


def test_backlog_goes_in_a_batch_once_the_shield_has_announced_them(make: Callable[..., World]) -> None:
    world = make(OFFERED)
    world.uplink.batch_script = [told(*[ACK] * 4)]
    world.spool_readings(1, 2, 3, 4, 5)
    assert world.flush.step() == 101.0
    world.now = 101.0
    assert world.flush.step() == math.inf
    assert (world.keys, items_of(world), world.spool.counts().pending) == (["device-1"], [["2", "3", "4", "5"]], 0)
    assert (world.flush.delivered.posted, world.flush.delivered.acknowledged) == (5, 5)
    world.spool_readings(6)
    assert world.flush.step() == 102.0  # as paced as single ones
    world.steps(3)
    assert world.keys == ["device-1", "device-6"]  # one alone goes as ever


def test_without_an_announcement_readings_go_singly(make: Callable[..., World]) -> None:
    world = make(ACK)
    world.spool_readings(1, 2, 3)
    world.steps(5)
    assert (len(world.keys), world.uplink.batches) == (3, [])


def test_item_is_the_single_posts_body_with_its_key_and_the_same_at_each_try(make: Callable[..., World]) -> None:
    world = make(OFFERED)
    world.uplink.batch_script = [LOST, told(ACK, ACK)]
    world.spool_readings(*range(1, 11))
    world.steps(3)
    (_, first), (_, again) = world.uplink.batches
    assert first[:2] == again  # fewer at once, after it took too long
    assert first[0] == b'{"temperature": "0.002", "time": "2026-09-21T14:13:22Z", "key": "device-2"}'
    assert world.uplink.asked == 0  # the keys spare the question


def test_each_reading_of_a_batch_leaves_or_stays_by_its_own_answer(make: Callable[..., World]) -> None:
    world = make(OFFERED)
    world.uplink.batch_script = [told(ACK, REJECT, RETRY, ACK), told(REJECT, ACK)]
    world.spool_readings(1, 2, 3, 4, 5)
    world.steps(3)
    assert items_of(world) == [["2", "3", "4", "5"], ["3", "4"]]
    counts = world.spool.counts()
    assert (counts.pending, counts.set_aside, world.flush.line.state) == (0, 1, LineState.ONLINE)


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_refusal_of_a_whole_batch_blames_no_reading(make: Callable[..., World], status: int) -> None:
    world = make(OFFERED)
    world.uplink.batch_script = [Answer(Verdict.REJECT, status)]
    world.spool_readings(*range(1, 30))
    world.steps(60)
    assert (world.spool.counts().pending, world.spool.counts().set_aside) == (0, 0)
    assert len(world.uplink.batches) <= 5


def test_offer_ends_with_the_plan_under_which_it_was_made(make: Callable[..., World]) -> None:
    world = make(OFFERED, ACK)
    world.spool_readings(1, 2, 3)
    world.steps(1)
    world.flush.replan(replace(world.plan, live_first=True))
    world.steps(3)
    assert (len(world.keys), world.uplink.batches) == (3, [])


def test_shield_that_refuses_each_reading_of_a_batch_is_misdirected_and_gets_single_ones(
    make: Callable[..., World],
) -> None:
    world = make(OFFERED, REJECT)
    world.uplink.batch_script = [told(*[REJECT] * 6)]
    world.spool_readings(*range(1, 8))
    world.steps(12)
    assert world.flush.line.state is LineState.MISDIRECTED
    assert (len(world.uplink.batches), world.spool.counts().pending, world.spool.counts().set_aside) == (1, 6, 0)


def test_readings_that_a_shield_refuses_in_batches_alone_leave_one_by_one(make: Callable[..., World]) -> None:
    world = make(OFFERED)
    world.uplink.batch_script = [told(*[REJECT] * size) for size in (7, 4)]
    world.spool_readings(*range(1, 9))
    world.steps(12)
    assert items_of(world) == [["2", "3", "4", "5", "6", "7", "8"], ["3", "4", "5", "6"]]
    assert world.keys == [f"device-{seq}" for seq in range(1, 9)]
    assert (world.spool.counts().pending, world.spool.counts().set_aside) == (0, 0)
