"""Why the disk refuses, told once when it begins and once when it ends."""

import logging

from agent.errors import AgentError

log = logging.getLogger(__name__)


class Trouble:
    """`text` is empty when all is well."""

    def __init__(self) -> None:
        self.text = ""

    def begins(self, error: AgentError) -> None:
        """Note the reason; the latest is the one to look at."""
        if not self.text:
            log.error("spool not storing, readings stay in memory", extra={"REASON": str(error), "FIX": error.hint})
        self.text = str(error).removeprefix("spool: ")

    def ends(self, *, stored: int) -> None:
        """All is well; `stored` readings reached the file with this."""
        if self.text:
            log.warning("spool storing again", extra={"READINGS": stored})
        self.text = ""
