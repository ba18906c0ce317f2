"""The reading whose answer was lost: the shield is asked about it before it is sent again, so that it is not twice.

Asking can only spare a duplicate, and must not cost a reading: what is not listed, or could be another's, is sent
again. One thing it cannot tell: the tutorial's shield lists by address, and another device behind the same one may have
sent the very same reading. It is noticed by whatever else of that device is listed, and is taken for ours where that is
its only one. `extra_fields = ["device"]` tells them apart.
"""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final

from agent.delivery import Answer, is_same, names_device, second, take
from agent.errors import SpoolError
from agent.spool import Spool, Spooled
from agent.spool.known import passed

RECENT: Final = 64  # bodies remembered: the shield lists five, a tick has a few dozen sensors at the most
ASKS: Final = 5  # GETs that are sent and not answered, after which the reading is sent again all the same


class Doubt:
    """At most one, for one request is in flight at a time.

    It arises of readings that nothing sent by an earlier process looks like: of two sensors in the same second that
    may have sent one and left the other, and only its own memory told them apart.
    """

    def __init__(self, spool: Spool) -> None:
        self.about: Spooled | None = None
        self._spool = spool
        self._is_new = spool.newcomers()
        self._stored: deque[tuple[int, bytes]] = deque(maxlen=RECENT)
        self._asks = 0

    def arises(self, spooled: Spooled, body: bytes) -> None:
        """The answer to this reading was lost; no doubt if it looks like one that was stored."""
        if self._is_new(spooled) and all(body != stored for _, stored in self._stored):
            self.about, self._asks = spooled, 0

    def stored(self, seq: int, body: bytes) -> None:
        """The shield has the reading of this number, in these bytes."""
        self._stored.append((seq, body))

    def asked(self, answer: Answer) -> None:
        """The doubt ends with an answer, whatever it says, or with patience.

        A question that did not get out says nothing: no reading would get out either.
        """
        self._asks += answer.ambiguous
        if answer.status is not None or self._asks >= ASKS:
            self.about = None

    def is_stored(self, listed: Sequence[Any], body: bytes, body_of: Callable[[Spooled], bytes]) -> bool:
        """Whether these entries of the shield's list prove that it has the reading sent as `body`.

        It must be among them, and name this device; or each of the others is one that this device delivered, and there
        are others: else the address is shared, for all that is known.
        """
        others = list(listed)
        if not take(others, body):
            return False
        if names_device(body):
            return True
        if not 0 < len(others) <= RECENT:
            return False
        known = dict(self._stored)
        for sent in known.values():
            take(others, sent)
        try:
            return all(self._was_delivered(each, known, body_of) for each in others)
        except SpoolError:
            return False

    def _was_delivered(self, entry: Any, known: dict[int, bytes], body_of: Callable[[Spooled], bytes]) -> bool:
        """Whether the spool remembers the entry as delivered, and not as one of the numbers in `known`; it joins those."""
        at = second(entry)
        for row in chain.from_iterable(passed(self._spool, at, at)) if at is not None else ():
            if row.seq not in known and is_same(entry, sent := body_of(row)):
                known[row.seq] = sent
                return True
        return False
