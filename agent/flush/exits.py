"""The two ways in which a reading leaves by an answer: acknowledged, or set aside with its reason."""

import logging

from agent.delivery import Answer
from agent.errors import SpoolError
from agent.flush.doubt import Doubt
from agent.flush.outbox import Outbox
from agent.spool import Spool, Spooled

log = logging.getLogger(__name__)


class Exits:
    """Tells everyone who has to know: the spool, the outbox, and the doubt about what the shield may have."""

    def __init__(self, spool: Spool, outbox: Outbox, doubt: Doubt) -> None:
        self._spool = spool
        self._outbox = outbox
        self._doubt = doubt

    def acknowledge(self, spooled: Spooled, body: bytes) -> None:
        """The shield has it."""
        self._spool.ack(spooled.seq)
        self._outbox.gone(spooled)
        self._doubt.stored(spooled.seq, body)

    def set_aside(self, spooled: Spooled, answer: Answer) -> None:
        """The shield will never take it. It stays pending if the disk refuses, and is refused once more some day."""
        try:
            self._spool.set_aside(spooled.seq, status=answer.status, reason=answer.detail)
        except SpoolError:
            return
        self._outbox.gone(spooled)
        log.warning(
            "reading set aside",
            extra={
                "SENSOR": spooled.reading.sensor,
                "SEQ": spooled.seq,
                "HTTP_STATUS": answer.status,
                "REASON": answer.detail,
            },
        )
