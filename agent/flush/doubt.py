"""The reading whose answer was lost: the shield is asked about it before it is sent again, so that it is not twice.

Asking can only spare a duplicate, never cost a reading: what is not listed, or could be mistaken, is sent again.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from agent.delivery import Answer
from agent.spool import Spooled

RECENT: Final = 64  # bodies remembered: the shield lists five, a tick has a few dozen sensors at the most
ASKS: Final = 5  # GETs that are sent and not answered, after which the reading is sent again all the same


class Doubt:
    """At most one, for one request is in flight at a time.

    `is_new` tells the readings that nothing sent by an earlier process looks like: of two sensors in the same second
    it may have sent one and left the other, and only its own memory told them apart.
    """

    def __init__(self, is_new: Callable[[Spooled], bool]) -> None:
        self.about: Spooled | None = None
        self._is_new = is_new
        self._stored: deque[bytes] = deque(maxlen=RECENT)
        self._asks = 0

    def arises(self, spooled: Spooled, body: bytes) -> None:
        """The answer to this reading was lost; no doubt if it looks like one that was stored."""
        if self._is_new(spooled) and body not in self._stored:
            self.about, self._asks = spooled, 0

    def stored(self, body: bytes) -> None:
        """The shield has a reading of these bytes."""
        self._stored.append(body)

    def asked(self, answer: Answer) -> None:
        """The doubt ends with an answer, whatever it says, or with patience.

        A question that did not get out says nothing: no reading would get out either.
        """
        self._asks += answer.ambiguous
        if answer.status is not None or self._asks >= ASKS:
            self.about = None
