"""Drain the spool through the uplink: one request at a time, as the line allows; several readings in it if offered.

`step` does at most one request and says when to come again, so that whoever waits can be woken for other reasons.
"""

from collections.abc import Callable
from typing import Final

from agent.delivery import Answer, Batching, Line, LineState, Verdict, fitting, item, spoken_for
from agent.flush.doubt import Doubt
from agent.flush.exits import Exits
from agent.flush.outbox import Outbox
from agent.flush.plan import Delivered, Plan, Poster
from agent.flush.shown import LOOK_SECONDS, Shown
from agent.flush.told import tell
from agent.identity import Identity, IdentityState
from agent.record import replace
from agent.spool import Spool, Spooled

TRIES: Final = 3  # refusals in a row that end a `drain`
FOREVER: Final = float("inf")


class Flush:
    """The way from the spool to the shield; for one thread, except where it says any thread."""

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
        self._spool = spool
        self._plan = self._coming = plan  # taken up between two steps, with the uplink that goes with it
        self._monotonic, self._wall, self._jitter = monotonic, wall, jitter
        self._outbox = Outbox(spool)
        self._doubt = Doubt(spool)
        self._exits = Exits(spool, self._outbox, self._doubt)
        self._batching = Batching()
        self._uplink: Poster | None = None
        self._shown = Shown()
        self._hurry = False

    @property
    def identity(self) -> Identity:
        """What is known of the certificate and key in force."""
        return self._shown.identity

    def replan(self, plan: Plan) -> None:
        """Deliver by the new plan from the next step on; a POST in flight ends in peace. For any thread."""
        self._coming = plan
        self._shown.look_at = 0.0

    def step(self) -> float:
        """Send one reading or a batch, or ask about one, if that may be done now; gives the monotonic time of the next
        step, inf if only a new reading can bring one.
        """
        now = self._monotonic()
        if now >= self._shown.look_at:
            self._look(now)
        if self._uplink is None:
            return self._shown.look_at
        if self._hurry:
            self._hurry, self.line = False, self.line.released(now)
        if not self.line.may_post(now):
            held = self.line.state is LineState.HOLD
            return min(self.line.not_before, self._shown.look_at) if held else self.line.not_before
        if self._doubt.about is not None:
            self._ask(self._uplink, self._doubt.about, now)
            return self._again()
        several = self._outbox.several(now, live_first=self._plan.live_first, most=self._batching.size)
        if len(several) > 1:
            self._send(self._uplink, several, now)
            return self._again()
        spooled = self._outbox.next(now, live_first=self._plan.live_first)
        if spooled is None:
            self.line = self.line.caught_up()
            return FOREVER
        body = self._plan.body(spooled)
        answer = self._uplink.post(body, key=self._plan.key(spooled.seq))
        self._answered(spooled, answer, body, sent=now)
        return self._again()

    def try_now(self) -> None:
        """What kept the line down may have ended, as a wrong clock: the next step waits no longer. For any thread."""
        self._hurry = True

    def close(self) -> None:
        """Close the connection."""
        if self._uplink is not None:
            self._uplink.close()

    def drain(self, wait: Callable[[float], object]) -> None:
        """Send what is pending until it is gone or the shield does not take it; `wait` waits that many seconds."""
        while (again := self.step()) != FOREVER and self.line.state is LineState.ONLINE and self.line.failures < TRIES:
            wait(again - self._monotonic())

    def stop(self) -> bool:
        """Have no POST begun any more; gives whether one may be in flight. From any thread."""
        return self._uplink is not None and self._uplink.stop()

    def abort(self) -> None:
        """Cut a POST in flight short, from any thread: its answer is lost, its reading stays."""
        if self._uplink is not None:
            self._uplink.abort()

    def _again(self) -> float:
        """When to come again after a request: where nothing is left, its pace is not waited for."""
        if self.line.state is LineState.ONLINE and not self.line.may_post(self._monotonic()):
            counts = self._spool.counts()
            if not counts.pending and not counts.salvage_left:
                self.line = self.line.caught_up()
                return FOREVER
        return self.line.not_before

    def _look(self, now: float) -> None:
        """Take up the pair that is there now, at once if it is another one than before."""
        self._shown.look_at = now + LOOK_SECONDS  # before the plan is read: one that comes now is looked at next
        plan = self._plan = self._coming
        if (found := self._shown.look(plan, utc=self._wall())) is None:
            return
        self.close()
        self._batching = Batching()  # announced under another plan or to another certificate
        self._uplink = plan.connect(found.pair) if found.pair else None
        if found.pair:
            self.line = self.line.released(now)
        else:
            state = LineState.UNENROLLED if found.state is IdentityState.MISSING else LineState.HOLD
            self._enter(self.line.blocked(now, state), found.detail)

    def _ask(self, uplink: Poster, doubt: Spooled, now: float) -> None:
        """Whether the shield has the reading whose answer was lost; if not, the next step sends it again."""
        body = self._plan.body(doubt)
        answer, listed = uplink.recent()
        self._doubt.asked(answer)
        keyed = answer.offer is not None and answer.offer.keys  # then it goes again, and is kept once
        if not keyed and self._doubt.is_stored(listed, body, self._plan.body):
            self.delivered = self.delivered.after_found(utc=self._wall())
            self._exits.acknowledge(doubt, body)
            self._advance(Answer(Verdict.ACK), sent=now)
        elif answer.status is None:
            self._advance(replace(answer, stale=False), sent=now)

    def _send(self, uplink: Poster, several: list[Spooled], now: float) -> None:
        """Send a batch, and let each of its readings leave or stay as its own answer says."""
        bodies = {each.seq: self._plan.body(each) for each in several}
        items = fitting(item(bodies[each.seq], self._plan.key(each.seq)) for each in several)
        parcel = several[: len(items)]
        answer = uplink.post_batch(items, gzip=self._batching.gzip)
        self._batching = self._batching.after(answer, sent=len(parcel), now=now)
        self.delivered = self.delivered.after_batch(answer, sent=len(parcel), utc=self._wall())
        found = {spooled.seq: each for spooled, each in zip(parcel, answer.results, strict=False)}
        to_blame = self._outbox.judge_batch(found, self._monotonic())
        for spooled in parcel if found else ():
            if found[spooled.seq].verdict is Verdict.ACK:
                self._exits.acknowledge(spooled, bodies[spooled.seq])
            elif spooled.seq in to_blame:
                self._exits.set_aside(spooled, found[spooled.seq])
        self._conclude(
            replace(spoken_for(answer.results), retry_after=answer.retry_after) if found else answer, sent=now
        )

    def _answered(self, spooled: Spooled, answer: Answer, body: bytes, *, sent: float) -> None:
        """Let the reading leave or stay, and the line change, as the answer says."""
        known_to_fail = self._outbox.suspects.is_deferred(spooled.seq)
        to_blame = self._outbox.judge(spooled, answer, self._monotonic())
        self._batching = self._batching.after(answer, sent=1, now=sent)
        self.delivered = self.delivered.after(answer, utc=self._wall())
        if answer.ambiguous and not self._batching.offer.keys:
            self._doubt.arises(spooled, body)
        if answer.verdict is Verdict.ACK:
            self._exits.acknowledge(spooled, body)
            self._advance(answer, sent=sent)
            return
        if to_blame:
            self._exits.set_aside(spooled, answer)
        if known_to_fail and answer.verdict is Verdict.RETRY and answer.status == 500:
            answer = replace(answer, verdict=Verdict.REJECT)  # others pass: the line is not down
        self._conclude(answer, sent=sent, blamed=to_blame)

    def _conclude(self, answer: Answer, *, sent: float, blamed: bool = False) -> None:
        """What an answer means for the line, unless it has to do with the one reading that was blamed."""
        if answer.verdict is Verdict.REJECT and not blamed and self._outbox.suspects.refuses_everyone:
            answer = replace(answer, verdict=Verdict.MISDIRECTED, detail=f"refuses every reading: {answer.detail}")
        self._advance(answer, sent=sent)
        if answer.verdict is Verdict.HOLD:
            self._shown.load(self._plan, utc=self._wall())

    def _advance(self, answer: Answer, *, sent: float) -> None:
        now, backoff = self._monotonic(), self._plan.backoff
        self._enter(self.line.after(answer, now=now, sent=sent, jitter=self._jitter(), backoff=backoff), answer.detail)

    def _enter(self, line: Line, detail: str) -> None:
        """Take the new line; say so when its state has changed."""
        before, self.line = self.line, line
        if line.state is not before.state:
            tell(before, line, pending=self._spool.counts().pending, detail=detail)
