"""A signer of certificates that a test holds in the middle of a step, or lets fail."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from world.visitors import Got

from agent.devshield.authority import Authority
from agent.devshield.registration.records import Signed
from agent.errors import TryLater


@dataclass
class SlowSigner:
    """An authority whose step of one name waits until it may go on; `answers_lost` is how often each comes to nothing."""

    authority: Authority
    wait_in: str = ""
    answers_lost: Counter[str] = field(default_factory=Counter)
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    made: list[Signed] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    name: str = "slow"

    def _step(self, name: str) -> None:
        if name == self.wait_in:
            self.reached.set()
            assert self.go_on.wait(30)
        if self.answers_lost[name]:
            self.answers_lost[name] -= 1
            raise TryLater("lost")

    def sign(self, csr: str, *, days: int) -> Signed:
        self._step("sign")
        self.made.append(Signed(self.authority.sign(csr.encode(), validity_days=days).decode(), f"id{len(self.made)}"))
        return self.made[-1]

    def find(self, key: str) -> Signed | None:  # noqa: ARG002 - the protocol's
        self._step("find")
        return None

    def revoke(self, issuer_id: str) -> None:
        self._step("revoke")
        self.revoked.append(issuer_id)

    @contextmanager
    def held(self, step: str, ask: Callable[[], Got]) -> Iterator["Future[Got]"]:
        """While the block runs, what was asked for is in that step."""
        self.wait_in = step
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(ask)
            try:
                assert self.reached.wait(30)
                yield asked
            finally:
                self.wait_in = ""
                self.go_on.set()
