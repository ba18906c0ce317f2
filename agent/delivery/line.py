"""The state of the connection and when the next POST may go: back-off after trouble, pace while all is well."""

from enum import StrEnum
from typing import Final

from agent.delivery.answer import Answer, Verdict
from agent.record import dataclass, replace

SLOWEST: Final = 60.0  # seconds between POSTs that an endpoint can slow us down to by refusing
SLOWER: Final = 1.5  # after a refusal that was about the pace
OUTAGE_SECONDS: Final = 60.0  # what a line that was down for longer has behind it is a backlog
FASTER: Final = 0.94  # of what is above the configured pace, at each acknowledgement: half of it after 11


class LineState(StrEnum):
    """The state of the connection, in the words of `status`."""

    IDLE = "idle"  # nothing was sent since start
    ONLINE = "online"
    BACKOFF = "backoff"
    HOLD = "hold"
    MISDIRECTED = "misdirected"
    UNENROLLED = "unenrolled"


DOWN: Final = {LineState.BACKOFF, LineState.HOLD, LineState.MISDIRECTED}


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waiting rule in seconds: `cap` bounds the wait after a passing fault, three caps that after a refusal.

    `pace` is the least time between two POSTs, `catch_up` that while the backlog of an outage leaves.
    """

    cap: float = 300.0
    first: float = 1.0
    pace: float = 1.05
    catch_up: float = 0.0

    def delay(self, failures: int, *, jitter: float) -> float:
        """Full jitter: uniform over 0 … min(cap, first·2ⁿ), so a fleet does not come back as one wave."""
        return jitter * min(self.cap, self.first * 2.0 ** min(failures - 1, 32))

    def long_delay(self, failures: int, *, jitter: float) -> float:
        """After a refusal: a fifth of the cap, doubling to three caps (15 min by default), upper half jittered."""
        return (0.5 + jitter / 2) * min(3 * self.cap, self.cap / 5 * 2.0 ** min(failures - 1, 32))

    def slower(self, interval: float) -> float:
        """The time between POSTs after the endpoint found `interval` too short."""
        return min(max(interval, 0.1) * SLOWER, max(SLOWEST, self.pace))

    def faster(self, interval: float) -> float:
        """The time between POSTs after one was acknowledged: a little nearer to the configured pace."""
        above = (interval - self.pace) * FASTER
        return self.pace + above if above > 0.05 else self.pace


@dataclass(frozen=True, slots=True)
class Line:
    """State of the connection. `since` is when it was entered, `not_before` the earliest next POST (monotonic s).

    `failures` counts unacknowledged answers in a row. `interval` is the time between POSTs that the endpoint has
    brought us to, if longer than the configured pace; `hurried`: since the last acknowledgement it has answered
    429, or 500 where a pace is configured: Workers KV takes a write a second, and the Worker says 500 to the second.
    `returning`: it was down, and what has gathered meanwhile has not all left.
    """

    state: LineState = LineState.IDLE
    since: float = 0.0
    failures: int = 0
    not_before: float = 0.0
    interval: float = 0.0
    hurried: bool = False
    returning: bool = False

    def may_post(self, now: float) -> bool:
        """Whether pacing and back-off allow a POST at `now`."""
        return now >= self.not_before

    def after(self, answer: Answer, *, now: float, sent: float, jitter: float, backoff: Backoff) -> "Line":
        """The line after an answer that came at `now` to a POST begun at `sent`; `jitter` is of [0, 1).

        A refused reading says that the API is there, so it keeps the line up; pacing counts from `sent`. So does a
        first request that died on a connection which had gone stale: it is tried again without a wait.
        """
        if answer.verdict is Verdict.ACK:
            return self._acknowledged(now, sent, backoff)
        interval = max(self.interval, backoff.pace)
        wait, state = backoff.delay(self.failures + 1, jitter=jitter), LineState.BACKOFF
        match answer.verdict:
            case Verdict.REJECT:
                state = LineState.ONLINE
            case Verdict.RETRY if answer.stale and self.failures == 0:
                wait, state = 0.0, self.state
            case Verdict.RETRY if answer.retry_after is not None:
                # up to a tenth more, so that those told the same time do not all obey in the same second
                wait = answer.retry_after * (1 + jitter / 10)
            case Verdict.HOLD | Verdict.MISDIRECTED:
                state = LineState.HOLD if answer.verdict is Verdict.HOLD else LineState.MISDIRECTED
                wait = backoff.long_delay(self.failures + 1, jitter=jitter)
            case Verdict.RETRY:
                pass
        about_pace = answer.status == 429 or (answer.status == 500 and backoff.pace > 0)
        hurried = self.hurried or (answer.verdict is Verdict.RETRY and about_pace)
        not_before = max(now + wait, sent + interval)
        after = self._enter(state, now, failures=self.failures + 1, not_before=not_before)
        return replace(after, interval=interval, hurried=hurried)

    def _acknowledged(self, now: float, sent: float, backoff: Backoff) -> "Line":
        # 429 and 500 that vanish when asked more slowly were about the pace
        interval = max(self.interval, backoff.pace)
        interval = backoff.slower(interval) if self.hurried else backoff.faster(interval)
        returning = self.returning or (self.state in DOWN and now - self.since >= OUTAGE_SECONDS)
        gap = max(interval, backoff.catch_up) if returning else interval
        since = self.since if self.state is LineState.ONLINE else now
        return Line(LineState.ONLINE, since, 0, max(now, sent + gap), interval, returning=returning)

    def caught_up(self) -> "Line":
        """Nothing waits any more."""
        return replace(self, returning=False) if self.returning else self

    def blocked(self, now: float, state: LineState) -> "Line":
        """No usable certificate: nothing is sent until the files change."""
        return self._enter(state, now, failures=0, not_before=float("inf"))

    def released(self, now: float) -> "Line":
        """Something that may end the trouble has changed (certificate files, configuration, clock): try at once."""
        if self.state is LineState.UNENROLLED:
            return self._enter(LineState.IDLE, now, failures=0, not_before=now)
        return replace(self, not_before=now)

    def _enter(self, state: LineState, now: float, *, failures: int, not_before: float) -> "Line":
        since = self.since if state is self.state else now
        return replace(self, state=state, since=since, failures=failures, not_before=not_before)
