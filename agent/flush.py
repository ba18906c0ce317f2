"""Drain the spool through the uplink: oldest first, one POST at a time, as the line allows.

`step` does at most one POST and says when to come again, so that whoever waits can be woken for other reasons.
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from agent import identity
from agent.delivery import Answer, Backoff, Line, LineState, Suspects, Verdict
from agent.errors import SpoolError
from agent.identity import Identity, IdentityState
from agent.spool import Spool, Spooled

log = logging.getLogger(__name__)

BATCH: Final = 64  # readings fetched at once: 0.2 ms of SQLite for every 64 POSTs
LOOK_SECONDS: Final = 2.0  # how often the certificate files are looked at while they keep the line down
TRIES: Final = 3  # refusals in a row that end a `drain`
FOREVER: Final = float("inf")


class Poster(Protocol):
    """What `flush` needs of the uplink."""

    def post(self, body: bytes, *, key: str) -> Answer:
        """The answer to one reading; never raises for the outside world."""
        ...

    def close(self) -> None: ...

    def abort(self) -> None:
        """Cut the request in flight short; called from another thread."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How to deliver, all from one configuration: `connect` makes the uplink that shows a pair,
    `files` gives the certificate and key to look at, `body` a reading's bytes, `key` its Idempotency-Key.
    """

    connect: Callable[[tuple[str, str]], Poster]
    files: Callable[[], tuple[str, str]]
    body: Callable[[Spooled], bytes]
    key: Callable[[int], str]
    backoff: Backoff


@dataclass(frozen=True, slots=True)
class Delivered:
    """Counts since start. `last_ack` is in UTC seconds; `last_status` the latest HTTP status, `detail` its words."""

    posted: int = 0
    acknowledged: int = 0
    ambiguous: int = 0
    last_ack: float | None = None
    last_status: int | None = None
    detail: str = ""


class Flush:
    """The way from the spool to the shield; for one thread, except `replan`, which any thread may call."""

    def __init__(
        self,
        spool: Spool,
        plan: Plan,
        *,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self.line = Line(since=monotonic())
        self.delivered = Delivered()
        self.identity = Identity(IdentityState.MISSING)
        self._spool = spool
        self._plan = plan
        self._monotonic, self._wall, self._jitter = monotonic, wall, jitter
        self._suspects = Suspects()
        self._queue: deque[Spooled] = deque()
        self._uplink: Poster | None = None
        self._loaded: object = None  # of which certificate files, under which plan, `identity` is
        self._look_at = 0.0

    def replan(self, plan: Plan) -> None:
        """Deliver by the new plan from the next step on; a POST in flight ends in peace."""
        self._plan = plan
        self._look_at = 0.0

    def step(self) -> float:
        """Send one reading if one may be sent now; gives the monotonic time of the next step, inf if only
        a new reading can bring one.
        """
        now = self._monotonic()
        if now >= self._look_at:
            self._look(now)
        if self._uplink is None:
            return self._look_at
        if not self.line.may_post(now):
            held = self.line.state is LineState.HOLD
            return min(self.line.not_before, self._look_at) if held else self.line.not_before
        spooled = self._next()
        if spooled is None:
            return FOREVER
        answer = self._uplink.post(self._plan.body(spooled), key=self._plan.key(spooled.seq))
        self._settle(spooled, answer, sent=now)
        return self.line.not_before

    def close(self) -> None:
        """Close the connection."""
        if self._uplink is not None:
            self._uplink.close()

    def drain(self, wait: Callable[[float], object]) -> None:
        """Send what is pending until it is gone or the shield does not take it; `wait` waits that many seconds."""
        while (again := self.step()) != FOREVER and self.line.state is LineState.ONLINE and self.line.failures < TRIES:
            wait(again - self._monotonic())

    def abort(self) -> None:
        """Cut a POST in flight short, from any thread: its answer is lost, its reading stays."""
        if self._uplink is not None:
            self._uplink.abort()

    def _look(self, now: float) -> None:
        """Take up the pair that is there now, at once if it is another one than before."""
        self._look_at = now + LOOK_SECONDS
        plan = self._plan
        files = plan.files()
        seen = (plan, files, identity.signature(files))
        if seen == self._loaded:
            return
        before, first = self.identity, self._loaded is None
        self._loaded = seen
        self.close()
        self.identity = found = identity.load(files, now=self._now())
        self._uplink = plan.connect(found.pair) if found.pair else None
        if found.pair:
            self.line = self.line.released(now)
            if not first and found.certificate != before.certificate:
                log.info("identity changed", extra={"IDENTITY": found.certificate and found.certificate.name})
        else:
            missing = found.state is IdentityState.MISSING
            self._enter(self.line.blocked(now, LineState.UNENROLLED if missing else LineState.HOLD), found.detail)

    def _next(self) -> Spooled | None:
        """The reading to send: the oldest, unless it was refused and has not been overtaken yet."""
        queue, overtaken = self._queue, self._suspects.overtaken
        if not queue or all(not overtaken.get(spooled.seq, True) for spooled in queue):
            try:
                queue.clear()
                queue.extend(self._spool.head(max(BATCH, 2 * len(overtaken))))
            except SpoolError:
                return None  # the spool tells of its trouble itself; the next tick tries again
        if not queue:
            return None
        seq = self._suspects.choose([spooled.seq for spooled in queue]) if overtaken else queue[0].seq
        return next(spooled for spooled in queue if spooled.seq == seq)

    def _settle(self, spooled: Spooled, answer: Answer, *, sent: float) -> None:
        """Let the reading leave or stay, and the line change, as the answer says."""
        self._suspects, to_blame = self._suspects.after(spooled.seq, answer.verdict)
        if answer.verdict is Verdict.ACK:
            self._spool.ack(spooled.seq)
            self._queue.remove(spooled)
        elif to_blame:
            self._set_aside(spooled, answer)
        elif answer.verdict is Verdict.REJECT and self._suspects.refuses_everyone:
            answer = replace(answer, verdict=Verdict.MISDIRECTED, detail=f"refuses every reading: {answer.detail}")
        self._count(answer)
        line = self.line.after(
            answer, now=self._monotonic(), sent=sent, jitter=self._jitter(), backoff=self._plan.backoff
        )
        self._enter(line, answer.detail)
        if answer.verdict is Verdict.HOLD:
            self.identity = identity.load(self._plan.files(), now=self._now())

    def _set_aside(self, spooled: Spooled, answer: Answer) -> None:
        try:
            self._spool.set_aside(spooled.seq, status=answer.status, reason=answer.detail)
        except SpoolError:
            return  # still pending: refused once more when the disk is well again
        self._queue.remove(spooled)
        log.warning(
            "reading set aside",
            extra={
                "SENSOR": spooled.reading.sensor,
                "SEQ": spooled.seq,
                "HTTP_STATUS": answer.status,
                "REASON": answer.detail,
            },
        )

    def _count(self, answer: Answer) -> None:
        acknowledged = answer.verdict is Verdict.ACK
        before = self.delivered
        self.delivered = Delivered(
            posted=before.posted + 1,
            acknowledged=before.acknowledged + acknowledged,
            ambiguous=before.ambiguous + answer.ambiguous,
            last_ack=self._wall() if acknowledged else before.last_ack,
            last_status=answer.status if answer.status is not None else before.last_status,
            detail=answer.detail,
        )

    def _enter(self, line: Line, detail: str) -> None:
        """Take the new line; log when its state has changed."""
        before, self.line = self.line, line
        if line.state is before.state:
            return
        fields = {"LINE": line.state.value, "PENDING": self._spool.counts().pending}
        if line.state is LineState.ONLINE:
            seconds = round(line.since - before.since)
            log.info("uplink online", extra=fields | {"FAILURES": before.failures, "SECONDS": seconds})
        else:
            log.warning("uplink down", extra=fields | {"REASON": detail})

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._wall(), UTC)
