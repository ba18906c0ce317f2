"""A fleet through an outage of its shield: the daemon's own decisions on a virtual clock. `make fleet` prints the figures.

python -m fleet.outage [AGENTS]

Real are when to read (schedule), when to send and how often to try (Line, Backoff), and how much at once (Batching);
played are the shield, which refuses connections for an hour, and the network, which takes a tenth of a second.
"""

import heapq
import random
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from agent.delivery import Answer, Backoff, Batching, Line, Offer, Verdict
from agent.schedule import next_due

EVERY: Final = 60.0  # seconds between ticks, of one sensor
BEFORE: Final = 1800.0  # seconds in which all is well
NETWORK: Final = 0.1
UNREACHABLE: Final = Answer(Verdict.RETRY)
GENTLY: Final = 1.3  # uplink.catch_up


@dataclass(frozen=True, slots=True)
class Scenario:
    """`offer` is what the shield announces, `catch_up` the configured factor, `outage` is in seconds."""

    name: str
    offer: Offer = field(default_factory=Offer)
    catch_up: float = 0.0
    outage: float = 3600.0

    @property
    def back(self) -> float:
        """When the shield answers again."""
        return BEFORE + self.outage

    @property
    def drained_after(self) -> float:
        """Seconds from then until the last backlog is gone, as computed: the longest wait before a try, and the readings
        of all that time less those that come in meanwhile.
        """
        backoff = backoff_of(self)
        if self.offer.most:
            return backoff.cap + NETWORK
        gap = max(backoff.pace, backoff.catch_up)
        return backoff.cap + (self.outage + backoff.cap) / EVERY / (1 / gap - 1 / EVERY)


@dataclass(slots=True)
class Agent:
    """One device: `phase` is when its grid begins. `first` and `whole` are when it was heard again, and had caught up."""

    phase: float
    jitter: random.Random
    delivered: int = 0
    line: Line = field(default_factory=Line)
    batching: Batching = field(default_factory=Batching)
    first: float | None = None
    whole: float | None = None

    def pending(self, now: float) -> int:
        """Readings that were taken by now and are not delivered."""
        return int((now - self.phase + 0.001) // EVERY) + 1 - self.delivered


@dataclass(frozen=True, slots=True)
class Figures:
    """Requests a second, steady and at the peak of any ten seconds (or `window`) after the return; the rest in seconds."""

    steady: float
    peak: float
    requests: int
    first: list[float]
    whole: list[float]
    left: int

    @property
    def ratio(self) -> float:
        """The peak as a multiple of the steady rate."""
        return self.peak / self.steady


def backoff_of(scenario: Scenario) -> Backoff:
    """As the configuration's defaults have it."""
    return Backoff(catch_up=EVERY / scenario.catch_up if scenario.catch_up else 0.0)


def requests(scenario: Scenario, agents: list[Agent], until: float) -> Iterator[float]:
    """The instants of all requests that reach the shield, while the agents live through the scenario."""
    backoff = backoff_of(scenario)
    events = [(agent.phase, number) for number, agent in enumerate(agents)]
    heapq.heapify(events)
    while events[0][0] < until:
        now, number = events[0]
        agent = agents[number]
        sent = min(agent.pending(now), agent.batching.size)
        up = not BEFORE <= now < scenario.back
        answer = UNREACHABLE
        if up:
            yield now
            stored = Answer(Verdict.ACK, 201, offer=scenario.offer)
            answer = stored if sent == 1 else Answer(Verdict.ACK, 207, offer=scenario.offer, results=(stored,) * sent)
        then = now + NETWORK
        agent.batching = agent.batching.after(answer, sent=sent, now=then)
        agent.line = agent.line.after(answer, now=then, sent=now, jitter=agent.jitter.random(), backoff=backoff)
        agent.delivered += sent if up else 0
        again = agent.line.not_before
        if agent.pending(then) == 0:
            agent.line = agent.line.caught_up()
            again = max(again, next_due(then, started=agent.phase, every=EVERY))
        if now >= scenario.back:
            agent.first = agent.first or then
            if agent.whole is None and agent.pending(then) == 0:
                agent.whole = then
        heapq.heapreplace(events, (again, number))


def live_through(scenario: Scenario, count: int, *, window: float = 10.0) -> Figures:
    """What a fleet of that many agents does, watched until an hour after the last should have caught up."""
    draw = random.Random(1)
    agents = [Agent(draw.uniform(0, EVERY), random.Random(draw.random())) for _ in range(count)]
    until = scenario.back + scenario.drained_after + 600.0
    seen: Counter[int] = Counter()
    total = 0
    for instant in requests(scenario, agents, until):
        total += instant >= scenario.back
        seen[int((instant - scenario.back) // window)] += 1
    return Figures(
        steady=count / EVERY,
        peak=max(seen[place] for place in seen if place >= 0) / window,
        requests=total,
        first=sorted(agent.first - scenario.back for agent in agents if agent.first),
        whole=sorted(agent.whole - scenario.back for agent in agents if agent.whole),
        left=sum(agent.whole is None for agent in agents),
    )


SCENARIOS: Final = (
    Scenario("batches, as announced", offer=Offer(500, gzip=True)),
    Scenario(f"single POSTs, catch_up = {GENTLY}", catch_up=GENTLY),
    Scenario("single POSTs, as fast as they may"),
)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(f"{count:,} agents, a reading every {EVERY:.0f} s each, after an hour without their shield")
    print(
        f"{'':36}{'steady':>9}{'peak':>9}{'ratio':>8}{'heard again, s':>20}{'caught up, s':>20}{'computed':>10}{'left':>6}"
    )
    print(f"{'':36}{'req/s':>9}{'req/s':>9}{'':8}{'median':>11}{'last':>9}{'median':>11}{'last':>9}{'s':>10}")
    for scenario in SCENARIOS:
        got = live_through(scenario, count)
        first, whole = (f"{statistics.median(each):11,.0f}{each[-1]:9,.0f}" for each in (got.first, got.whole))
        print(
            f"{scenario.name:36}{got.steady:9,.0f}{got.peak:9,.0f}{got.ratio:8.2f}{first}{whole}"
            f"{scenario.drained_after:10,.0f}{got.left:6}",
            flush=True,
        )


if __name__ == "__main__":
    main()
