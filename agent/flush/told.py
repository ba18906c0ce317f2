"""What the log says of the line: each change of its state, once."""

import logging

from agent.delivery import Line, LineState

log = logging.getLogger(__name__)


def tell(before: Line, line: Line, *, pending: int, detail: str) -> None:
    """The line has gone from one state to another, with so many readings pending."""
    fields = {"LINE": line.state.value, "PENDING": pending}
    if line.state is LineState.ONLINE:
        seconds = round(line.since - before.since)
        log.info("uplink online", extra=fields | {"FAILURES": before.failures, "SECONDS": seconds})
    else:
        log.warning("uplink down", extra=fields | {"REASON": detail})
