"""Readings on their way to a moody shield, through crashes, reboots and wrong clocks; two sets say where each must be."""

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from world.identities import put_pair
from world.readings import START

from agent import BUILD_EPOCH, reading
from agent.clock import SYNCHRONISED, Clock
from agent.config import SensorConfig
from agent.delivery import Answer, Backoff, Offer, Verdict
from agent.flush import Flush, Plan
from agent.reading import AHEAD_SECONDS, Reading
from agent.sampler import Probe, Sampler
from agent.spool import Limits, Spool, Spooled
from agent.ticks import Ticks

SENSORS: Final = ("freezer", "attic")
MOODS: Final = ("well", "well", "well", "busy", "forbids", "answer lost", "request lost", "kills")
STEPS: Final = (-10_000_000, -7200, -30, -1, 1, 30, 7200, 40_000_000)  # seconds; the first: to before the build epoch
BATCH: Final = 4
OFFER: Final = Offer(BATCH, gzip=True)
BUSY, FORBIDS = Answer(Verdict.RETRY, 503), Answer(Verdict.HOLD, 403)
LOST = Answer(Verdict.RETRY, None, ambiguous=True)


class Killed(BaseException):
    """The process is gone while its request is under way."""


class Model:
    """A reading is known by its thousandths of a degree, for no two are alike."""

    def __init__(self) -> None:
        self.taken: dict[int, int] = {}  # and the true second of it
        self.held: set[int] = set()
        self.acknowledged: set[int] = set()
        self.refused: set[int] = set()
        self.forgotten: set[int] = set()  # held when their boot ended
        self.uncommitted: set[int] = set()  # acknowledged since the last tick
        self.excused: Counter[int] = Counter()  # copies at the shield that no one could have spared it
        self.high = 0  # the latest second that any reading got


class Thermometer:
    """Never gives the same temperature twice; `world` is told when it gave which."""

    bus, rated_celsius = "test", (-55.0, 125.0)

    def __init__(self, world: "DeliveryLife") -> None:
        self.world = world

    def read(self) -> float:
        number = len(self.world.model.taken) + 1
        self.world.model.taken[number] = START + self.world.passed
        return number / 1000


class Shield:
    """The other end, and what it was sent: (number in the spool, reading, second) in order."""

    def __init__(self, model: Model) -> None:
        self.model, self.mood, self.poison = model, "well", 0
        self.offers = self.shared = False
        self.in_doubt = (0, 0)  # reading and second of the POST whose answer was lost last
        self.stored: list[tuple[int, int, int]] = []

    def post(self, body: bytes, *, key: str) -> Answer:
        milli, second = opened(body)
        assert milli not in self.model.held, "sent with a time of an untrusted clock"
        if self.mood in ("busy", "forbids"):
            return BUSY if self.mood == "busy" else FORBIDS
        if milli == self.poison and self.mood == "well":
            self.model.refused.add(milli)
            return Answer(Verdict.REJECT, 400, detail="HTTP 400: poison")
        self.in_doubt = milli, second
        if self.mood == "request lost":
            return LOST
        self.store(int(key), milli, second)
        if self.mood == "well":
            self.model.acknowledged.add(milli)
            self.model.uncommitted.add(milli)
            return Answer(Verdict.ACK, 201, offer=OFFER if self.offers else Offer())
        self.model.excused[milli] += not self.offers
        if self.mood == "kills":
            raise Killed
        return LOST

    def post_batch(self, items: Sequence[bytes], *, gzip: bool) -> Answer:
        """Knows each item by its key, which a single POST's is too; refuses a poisoned one in a result of its own."""
        assert gzip
        assert 2 <= len(items) <= BATCH
        opened_items = [opened(each) for each in items]
        assert not {milli for milli, _ in opened_items} & self.model.held, "sent with a time of an untrusted clock"
        if self.mood in ("busy", "forbids"):
            return BUSY if self.mood == "busy" else FORBIDS
        if self.mood == "request lost":
            return LOST
        if not self.offers:
            return Answer(Verdict.REJECT, 400, detail="HTTP 400: not an object")
        found: list[Answer] = []
        for each, (milli, second) in zip(items, opened_items, strict=True):
            key = int(json.loads(each)["key"])
            if milli == self.poison:
                self.model.refused.add(milli)
                found.append(Answer(Verdict.REJECT, 400, detail="HTTP 400: poison"))
                continue
            self.store(key, milli, second)
            found.append(Answer(Verdict.ACK, 201))
            if self.mood == "well":
                self.model.acknowledged.add(milli)
                self.model.uncommitted.add(milli)
        if self.mood == "kills":
            raise Killed
        return Answer(Verdict.ACK, 207, offer=OFFER, results=tuple(found)) if self.mood == "well" else LOST

    def store(self, key: int, milli: int, second: int) -> None:
        """Keep it, once for each key if this shield knows keys."""
        if self.offers and key in {seq for seq, _, _ in self.stored}:
            return
        self.stored.append((key, milli, second))

    def recent(self) -> tuple[Answer, list[Any]]:
        """The five stored last, whosesoever they are: a neighbour at the same address sends doubles and others."""
        if self.mood != "well":
            return {"busy": BUSY, "forbids": FORBIDS}.get(self.mood, LOST), []
        entries = [entry(milli, second) for _, milli, second in reversed(self.stored[-5:])]
        if self.shared:
            entries = [entry(*self.in_doubt), entry(-self.in_doubt[0], self.in_doubt[1]), *entries[:3]]
        return Answer(Verdict.MISDIRECTED, 200, offer=OFFER if self.offers else None), entries

    def close(self) -> None: ...

    def stop(self) -> bool:
        return True

    def abort(self) -> None: ...


class DeliveryLife(RuleBasedStateMachine):
    """`passed` is true time since the start, `now` seconds since boot; the clock is `wrong_by` seconds off."""

    @initialize(late=st.booleans(), offers=st.booleans(), shared=st.booleans())
    def begin(self, late: bool, offers: bool, shared: bool) -> None:
        self.scratch = TemporaryDirectory(prefix="model-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.directory = Path(self.scratch.name) / "0"
        self.directory.mkdir()
        self.passed, self.now, self.wrong_by, self.lives, self.boots = 0, 50, -20_000_000, 0, 1
        self.model = Model()
        self.shield = Shield(self.model)
        self.shield.offers, self.shield.shared = offers, shared
        if not late:
            self.synchronise()
        self.start()

    def start(self) -> None:
        """What the daemon does at its start."""
        limits = Limits(max_readings=1000, max_age_seconds=1e10)  # the clock may jump by years
        self.spool = Spool(self.directory / "spool.db", limits=limits, watermark=self.directory / "watermark")
        boot = f"boot-{self.boots}"
        clock = Clock(self.directory, wall=self.wall, since_boot=lambda: float(self.now), boot_id=boot)
        probes = [Probe(SensorConfig(name=name, driver="simulated"), Thermometer(self)) for name in SENSORS]
        sampler = Sampler(probes, clock, monotonic=lambda: float(self.now))
        self.ticks = Ticks(probes, sampler, self.spool, clock, monotonic=lambda: float(self.now))
        plan = Plan(lambda _: self.shield, pair, body_of, str, Backoff())
        self.flush = Flush(self.spool, plan, monotonic=lambda: float(self.now), wall=self.wall, jitter=lambda: 0.5)

    def wall(self) -> float:
        return float(START + self.passed + self.wrong_by)

    def trusted(self) -> bool:
        return (self.directory / SYNCHRONISED).exists() and self.wall() >= BUILD_EPOCH

    def wait_until(self, instant: float) -> None:
        seconds = max(0, -int(-(instant - self.now) // 1)) if instant < 1e12 else 0
        self.now, self.passed = self.now + seconds, self.passed + seconds

    def teardown(self) -> None:
        if hasattr(self, "scratch"):
            self.ticks.sampler.close()
            self.spool.close()
            self.scratch.cleanup()

    @rule(
        ticks=st.lists(st.tuples(st.integers(1, 90), st.sampled_from(MOODS), st.integers(0, 6)), min_size=1, max_size=6)
    )
    def go_on(self, ticks: list[tuple[int, str, int]]) -> None:
        """Ticks, each with some steps of delivery; one rule, for hypothesis chooses among all of them alike."""
        for late, mood, steps in ticks:
            self.tick(late)
            self.steps(mood, steps)

    def tick(self, late: int) -> None:
        self.wait_until(max(self.ticks.next_due, self.now + late))
        before = len(self.model.taken)
        self.ticks.tick()
        new = set(range(before + 1, len(self.model.taken) + 1))
        assert len(new) == len(SENSORS)
        self.model.uncommitted.clear()
        if not self.trusted():
            self.model.held |= new
            return
        stamped = (new | self.model.held) - self.model.forgotten
        self.model.held.clear()
        self.judge_times(stamped)

    def judge_times(self, stamped: set[int]) -> None:
        """Each has the second that the clock gave it, or, for that had been given before, one just above."""
        seconds = {milli: second for _, milli, second in self.pending() if milli in stamped}
        assert seconds.keys() == stamped
        for milli, second in seconds.items():
            due = self.model.taken[milli] + self.wrong_by
            assert due <= second <= max(due, self.model.high + len(stamped))
        self.model.high = max(self.model.high, *seconds.values())

    def steps(self, mood: str, count: int) -> None:
        self.shield.mood = mood
        for _ in range(count):
            found = self.flush.delivered.found
            try:
                self.wait_until(self.flush.step())
            except Killed:
                self.shield.mood = "well"
                self.crash()
                return
            if self.flush.delivered.found > found:
                self.model.acknowledged.add(self.shield.in_doubt[0])
                self.model.uncommitted.add(self.shield.in_doubt[0])

    @rule(offers=st.booleans())
    def change_the_shield(self, offers: bool) -> None:
        """Another version is deployed: one that takes batches and knows keys, or the tutorial's."""
        if self.shield.offers and not offers:  # what waits to go again under its key
            self.model.excused.update({milli for _, milli, _ in self.shield.stored} - self.model.acknowledged)
        self.shield.offers = offers
        self.go_on([(1, "busy", 1), (1, "busy", 1), (1, "well", 6)])

    @rule(data=st.data())
    def poison_a_reading(self, data: st.DataObject) -> None:
        self.go_on([(1, "busy", 1)])
        sendable = [milli for _, milli, _ in self.pending()][:8]
        self.shield.poison = data.draw(st.sampled_from(sendable)) if sendable else 0
        self.go_on([(1, "well", 6)])

    @precondition(lambda self: not self.trusted() or self.wrong_by)
    @rule()
    def synchronise(self) -> None:
        """What a time daemon does once it has set the clock."""
        (self.directory / SYNCHRONISED).parent.mkdir(parents=True, exist_ok=True)
        (self.directory / SYNCHRONISED).touch()
        self.wrong_by = 0

    @rule(by=st.sampled_from(STEPS))
    def set_the_clock(self, by: int) -> None:
        self.wrong_by += by
        self.go_on([(1, "well", 2), (1, "well", 2)])

    @rule()
    def restart(self) -> None:
        self.ticks.sampler.close()
        self.flush.close()
        self.spool.close()
        self.model.uncommitted.clear()
        self.start()

    @rule()
    def crash(self) -> None:
        """The files stay as they are, and the watermark tells of all that went in order."""
        oldest = min((seq for seq, _, _ in self.pending()), default=1 << 62)
        self.fall(may_return={milli for seq, milli, _ in self.shield.stored if seq > oldest})

    @rule(wrong_by=st.sampled_from((0, *STEPS)), away=st.integers(1, 10_000))
    def lose_power(self, wrong_by: int, away: int) -> None:
        """The board boots with a wrong clock, and nobody knows when the readings without one were taken."""
        shutil.rmtree(self.directory / "run", ignore_errors=True)
        (self.directory / "watermark").unlink()
        self.passed, self.now, self.wrong_by, self.boots = self.passed + away, 5, wrong_by, self.boots + 1
        self.model.forgotten |= self.model.held
        self.fall(may_return=set(self.model.uncommitted))
        self.model.uncommitted.clear()

    def fall(self, *, may_return: set[int]) -> None:
        """The process ends without a word, and the next one finds the files as they were."""
        old, self.lives = self.directory, self.lives + 1
        self.directory = Path(self.scratch.name) / str(self.lives)
        shutil.copytree(old, self.directory)
        self.ticks.sampler.close()
        self.spool.close()
        shutil.rmtree(old)
        self.start()
        back = {milli for _, milli, _ in self.pending()} & self.model.acknowledged
        assert back <= may_return & self.model.uncommitted
        self.model.acknowledged -= back
        self.model.uncommitted -= back
        self.model.excused.update(back)

    def pending(self) -> list[tuple[int, int, int]]:
        """What may be sent, oldest first."""
        rows = self.spool.head(10_000)
        return [(row.seq, row.reading.milli_celsius, row.reading.unix_seconds) for row in rows]

    @invariant()
    def every_reading_is_in_one_place(self) -> None:
        model, counts, sendable = self.model, self.spool.counts(), {milli for _, milli, _ in self.pending()}
        assert (counts.dropped, counts.trouble) == (0, "")
        assert not sendable & (model.acknowledged | model.held)
        assert counts.pending + len(model.acknowledged) + counts.set_aside == len(model.taken)
        gone = model.taken.keys() - sendable - model.acknowledged - model.held
        assert gone <= model.refused | model.forgotten

    @invariant()
    def the_shield_has_what_it_acknowledged_and_no_copy_too_many(self) -> None:
        copies = Counter(milli for _, milli, _ in self.shield.stored)
        assert self.model.acknowledged <= copies.keys()
        assert all(copies[milli] <= 1 + self.model.excused[milli] for milli in copies)

    @invariant()
    def readings_come_in_order_with_rising_times(self) -> None:
        first = {seq: (milli, second) for seq, milli, second in reversed(self.shield.stored)}
        assert {(seq, *first[seq]) for seq in first} == set(self.shield.stored)  # every copy is alike
        in_order = [seq for seq, milli, _ in self.shield.stored if milli not in self.model.refused]
        arrived = list(dict.fromkeys(in_order))
        assert arrived == sorted(arrived)
        for place in range(len(SENSORS)):
            seconds = [second for _, (milli, second) in sorted(first.items()) if milli % len(SENSORS) == place]
            # a clock that was ahead by an hour or more binds nobody, give or take what the other sensor got meanwhile
            assert all(early < late or early - late > AHEAD_SECONDS - 600 for early, late in pairwise(seconds))


@cache
def pair() -> tuple[str, str]:
    """One for all lives: making it costs milliseconds."""
    return put_pair(Path(tempfile.mkdtemp(prefix="model-pair-")))


def body_of(spooled: Spooled) -> bytes:
    return reading.body(spooled.reading, temperature_as="string")


def entry(milli: int, second: int) -> dict[str, Any]:
    """As the shield lists it."""
    listed: dict[str, Any] = json.loads(reading.body(Reading("", milli, second), temperature_as="string"))
    return listed


def opened(body: bytes) -> tuple[int, int]:
    """The reading and its second, as the shield sees them."""
    fields = json.loads(body)
    return round(float(fields["temperature"]) * 1000), int(datetime.fromisoformat(fields["time"]).timestamp())


TestDeliveryLife = DeliveryLife.TestCase
TestDeliveryLife.settings = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    max_examples=int(os.environ.get("MODEL_EXAMPLES", "50")),
    stateful_step_count=25,
)
