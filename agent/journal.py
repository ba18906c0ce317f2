"""Where the log goes: the journal with its fields when there is one, else lines on stderr.

Event texts are constant, so that each has a number in the journal, by which its catalogue explains it; what varies is
in upper-case `extra` fields, which arrive as journal fields. No secret is ever a field or an argument: JournalHandler
ships a record's arguments as CODE_ARGS.
"""

import logging
import os
import sys
from typing import Final

from agent.events import MESSAGE_IDS

IDENTIFIER: Final = "sensor-agent"
PRIORITIES: Final = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class LineFormatter(logging.Formatter):
    """One line: level, event, fields. With `priority` a `<N>` prefix that the journal reads (sd-daemon(3))."""

    def __init__(self, *, priority: bool) -> None:
        super().__init__()
        self._priority = priority

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={_one_line(value)}" for name, value in record.__dict__.items() if name.isupper())
        start = f"<{PRIORITIES.get(record.levelno, 6)}>" if self._priority else f"{record.levelname.lower()}: "
        text = start + record.getMessage() + (f" [{fields}]" if fields else "")
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


def set_up(*, verbose: bool = False) -> None:
    """Send the agent's log to the journal if this process's stderr is connected to it, else to stderr."""
    root = logging.getLogger("agent")
    root.handlers.clear()
    root.addHandler(_handler())
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    root.propagate = False


def _handler() -> logging.Handler:
    to_journal = _is_journal(os.environ.get("JOURNAL_STREAM", ""))
    if to_journal:
        try:
            from systemd.journal import JournalHandler
        except ImportError:
            pass
        else:
            handler: logging.Handler = JournalHandler(SYSLOG_IDENTIFIER=IDENTIFIER)
            handler.addFilter(_numbered)
            return handler
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(LineFormatter(priority=to_journal))
    return lines


def _numbered(record: logging.LogRecord) -> bool:
    """Give the record its event's number; lets every record pass."""
    number = MESSAGE_IDS.get(str(record.msg))
    if number is not None:
        record.MESSAGE_ID = number
    return True


def _is_journal(stream: str) -> bool:
    """Whether stderr is the stream that systemd named as `device:inode` (systemd.exec(5)): it may lead elsewhere."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):  # closed, or not a file
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"


def _one_line(value: object) -> str:
    return str(value).replace("\n", " | ")
