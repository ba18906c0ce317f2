"""The certificate and key that are shown to the shield: taken up when their files, or the plan, are others than before."""

import logging
from datetime import UTC, datetime
from typing import Final

from agent import identity
from agent.flush.plan import Plan
from agent.identity import Identity, IdentityState

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0  # how often the files are looked at while they keep the line down


class Shown:
    """`identity` is what is known of them; `look_at` is when to look again (monotonic s)."""

    def __init__(self) -> None:
        self.identity = Identity(IdentityState.MISSING)
        self.look_at = 0.0
        self._loaded: object = None  # of which files, under which plan, `identity` is

    def look(self, plan: Plan, *, utc: float) -> Identity | None:
        """The identity if it has to be taken up anew, None if nothing has changed."""
        files = plan.files()
        seen = (plan, files, identity.signature(files))
        if seen == self._loaded:
            return None
        before, first = self.identity, self._loaded is None
        self._loaded = seen
        found = self.load(plan, utc=utc)
        if found.pair and not first and found.certificate != before.certificate:
            log.info("identity changed", extra={"IDENTITY": found.certificate and found.certificate.name})
        return found

    def load(self, plan: Plan, *, utc: float) -> Identity:
        """The identity as the files have it now."""
        now = datetime.fromtimestamp(utc, UTC)
        self.identity = identity.load(plan.files(), now=now, here=plan.here)
        return self.identity
