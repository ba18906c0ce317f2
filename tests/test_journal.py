"""Where the log goes, and the form of its lines."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.events import MESSAGE_IDS
from agent.journal import LineFormatter


def record(level: int, text: str, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("agent.x", level, __file__, 1, text, None, None)
    made.__dict__.update(fields)
    return made


@pytest.mark.parametrize(
    ("level", "priority", "line"),
    [
        (logging.INFO, False, "info: uplink online [FAILURES=3 LINE=online]"),
        (logging.WARNING, True, "<4>uplink online [FAILURES=3 LINE=online]"),
        (logging.ERROR, True, "<3>uplink online [FAILURES=3 LINE=online]"),
        (logging.DEBUG, True, "<7>uplink online [FAILURES=3 LINE=online]"),
    ],
)
def test_a_line_has_level_event_and_fields(level: int, priority: bool, line: str) -> None:
    made = record(level, "uplink online", FAILURES=3, LINE="online")
    assert LineFormatter(priority=priority).format(made) == line


def test_an_event_without_fields_is_just_its_text() -> None:
    assert LineFormatter(priority=False).format(record(logging.INFO, "started")) == "info: started"


def test_a_field_of_many_lines_stays_on_one() -> None:
    made = record(logging.ERROR, "refused", PROBLEMS="a: wrong\n<0>b: forged")
    assert LineFormatter(priority=True).format(made) == "<3>refused [PROBLEMS=a: wrong | <0>b: forged]"


CHILD = """
import logging, os, sys
from agent import journal
if sys.argv[1:] == ["connected"]:
    status = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
journal.set_up()
logging.getLogger("agent.x").info("hello", extra={"SENSOR": "freezer"})
logging.getLogger("agent.x").info("stopped")
logging.getLogger("agent.x").debug("too much")
"""

LIBRARY = """
import logging, sys
class JournalHandler(logging.Handler):
    def __init__(self, **fields):
        super().__init__()
        self.fields = fields
    def emit(self, record):
        number = getattr(record, "MESSAGE_ID", None)
        print("journal", self.fields, record.getMessage(), getattr(record, "SENSOR", ""), number, file=sys.stderr)
"""


def logged(directory: Path, *arguments: str, library: str | None, environ: dict[str, str] | None = None) -> str:
    """What comes out on stderr, with a `systemd` package that has that journal module, or none."""
    (directory / "systemd").mkdir()
    (directory / "systemd" / "__init__.py").touch()
    if library is not None:
        (directory / "systemd" / "journal.py").write_text(library)
    paths = os.pathsep.join([str(directory), *(path for path in sys.path if path)])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments],
        env={"PYTHONPATH": paths} | (environ or {}),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


def test_outside_of_systemd_it_goes_to_stderr(tmp_path: Path) -> None:
    assert logged(tmp_path, library=LIBRARY) == "info: hello [SENSOR=freezer]\ninfo: stopped\n"


def test_under_systemd_it_goes_to_the_journal_with_its_fields(tmp_path: Path) -> None:
    said = logged(tmp_path, "connected", library=LIBRARY)
    start = "journal {'SYSLOG_IDENTIFIER': 'sensor-agent'}"
    assert said.splitlines() == [f"{start} hello freezer None", f"{start} stopped  {MESSAGE_IDS['stopped']}"]


def test_under_systemd_without_its_library_lines_carry_their_priority(tmp_path: Path) -> None:
    assert logged(tmp_path, "connected", library=None) == "<6>hello [SENSOR=freezer]\n<6>stopped\n"


def test_a_stderr_that_was_redirected_is_no_journal(tmp_path: Path) -> None:
    said = logged(tmp_path, library=LIBRARY, environ={"JOURNAL_STREAM": "8:12345"})
    assert said == "info: hello [SENSOR=freezer]\ninfo: stopped\n"
