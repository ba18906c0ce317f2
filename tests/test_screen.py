"""The screen of `status`, as its owner sees it: whole screens, and what a terminal may lack."""

import io
import sys
from dataclasses import replace
from typing import Any

import pytest
from world.statuses import ILL, NOW, SPOOL, WELL, at, sensor

from agent.cli.durations import spell, until
from agent.cli.look import Look, look_of
from agent.cli.render import mark
from agent.cli.screen import screen
from agent.cli.sparkline import sparkline
from agent.cli.status_seen import judged

WELL_80 = """\
healthy  sensor-agent 0.1.0, up 3 d

                                last 6 h
freezer    -18.000 °C  7 s ago  ▁▁▂▂▂▃▃▃▃▄▄▄▅▅▅▆▆▆▆▇▇▇██  -20.0 to -17.7
cold room    4.250 °C  7 s ago

spool     empty: everything is delivered
          0 set aside, 0 dropped, room for 104 d
line      delivering for 3 d; last delivery 6 s ago
clock     set
identity  sensor-001.example.com (201 days left, renews from 2027-02-13 on)
"""

ILL_80 = """\
degraded  sensor-agent 0.1.0, up 3 d

! sensor room: no_answer: nothing answers at 0x48 on i2c-1
  next: i2cdetect -y 1
! uplink: ConnectionError: Name or service not known
  next: sensor-agent check

                              last 6 h
freezer  -18.000 °C  7 s ago  ▁▁▂▂▂▃▃▃▃▄▄▄▅▅▅▆▆▆▆▇▇▇██  -20.0 to -17.7
room              —  5 h ago  ▁▁ █                      21.0 to 22.0
    absent, 300 tries in a row

spool     12,345 pending, the oldest of 5 h ago
          3 set aside, 0 dropped, room for 104 d
line      not reached for 5 h; 41 tries failed; next try in 85 s; last delivery
          5 h ago
clock     set
identity  sensor-001.example.com (201 days left; cannot renew by itself: enroll
          again, with --force, before 2027-06-15)
flash     2.3 MB written today, 856 MB a year at this rate
"""

ILL_40 = """\
degraded  sensor-agent 0.1.0, up 3 d

! sensor room: no_answer: nothing
  answers at 0x48 on i2c-1
  next: i2cdetect -y 1
! uplink: ConnectionError: Name or
  service not known
  next: sensor-agent check

                          last 3.5 h
freezer  -18.000 °C  7 s  ▁▂▂▃▃▄▄▅▅▆▆▇▇█
room              —  5 h
    absent, 300 tries in a row

spool     12,345 pending, the oldest of
          5 h ago
          3 set aside, 0 dropped, room
          for 104 d
line      not reached for 5 h; 41 tries
          failed; next try in 85 s; last
          delivery 5 h ago
clock     set
identity  sensor-001.example.com
          (201 days left; cannot renew
          by itself: enroll again, with
          --force, before 2027-06-15)
flash     2.3 MB written today, 856 MB a
          year at this rate
"""


@pytest.mark.parametrize(
    ("found", "columns", "expected"),
    [(WELL, 80, WELL_80), (ILL, 80, ILL_80), (ILL, 40, ILL_40)],
    ids=["well", "ill", "ill on a phone"],
)
def test_a_whole_screen(found: dict[str, Any], columns: int, expected: str) -> None:
    assert screen(found, NOW, Look(columns)) == expected


@pytest.mark.parametrize("columns", [32, 40, 57, 80, 100])
@pytest.mark.parametrize("unicode", [True, False])
def test_no_line_is_longer_than_the_terminal_is_wide(columns: int, unicode: bool) -> None:
    long = ILL | {"sensors": [*ILL["sensors"], sensor("the-sensor-behind-the-boiler-in-the-cellar", 1234.567)]}
    shown = screen(long, NOW, Look(columns, unicode=unicode))
    assert max(map(len, shown.splitlines())) <= columns
    assert shown.isascii() is not unicode


def test_names_that_begin_alike_are_told_apart() -> None:
    names = [f"building-north/cold-store-rack-{number:02}/shelf" for number in range(100)]
    shown = screen(WELL | {"sensors": [sensor(name, 4.0) for name in names]}, NOW, Look(80))
    assert len({line.split()[0] for line in shown.splitlines() if line.startswith("building")}) == 100


def test_colour_paints_and_changes_no_letter() -> None:
    painted = screen(ILL, NOW, Look(80, colour=True))
    assert painted.startswith("\x1b[33mdegraded\x1b[0m")
    assert "\x1b[31mroom" in painted
    plain = painted
    for code in ("0", "1", "2", "31", "33"):
        plain = plain.replace(f"\x1b[{code}m", "")
    assert plain == ILL_80


def test_a_text_from_outside_cannot_speak_to_the_terminal() -> None:
    evil = WELL | {"problems": [{"what": "uplink: \x1b]0;owned\x07\x1b[2J\u202egood", "fix": "x\ny"}]}
    shown = screen(evil, NOW, Look(80))
    assert not {letter for letter in shown if not letter.isprintable()} - {"\n"}


def test_many_problems_leave_room_for_the_rest() -> None:
    many = WELL | {"problems": [{"what": f"sensor {number}: gone", "fix": "look"} for number in range(20)]}
    shown = screen(many, NOW, Look(80))
    assert "sensor 5: gone" in shown
    assert "sensor 6: gone" not in shown
    assert "and 14 more: sensor-agent status --json" in shown


@pytest.mark.parametrize(
    ("part", "change", "line"),
    [
        ("spool", {"pending": 5}, "spool     5 pending\n"),
        ("spool", {"pending": 5, "oldest": at(minutes=3), "drained_seconds": 7500.0},
         "spool     5 pending, the oldest of 3 min ago; delivered in about 2 h\n"),
        ("spool", {"pending": 5, "salvage_left": 9}, "spool     5 pending; up to 9 more are in a damaged file and follow\n"),
        ("spool", {"room_seconds": None}, "          0 set aside, 0 dropped\n"),
        ("spool", {"flash_bytes_today": 999}, "flash     999 bytes written today\n"),
        (
            "spool",
            {"flash_bytes_today": 999, "flash_today_since": "2026-11-19T12:05:00Z"},
            "flash     999 bytes written today since 12:05 UTC\n",
        ),
        (
            "spool",
            {"flash_bytes_today": 999, "flash_today_since": "2026-11-19T00:00:00Z"},
            "flash     999 bytes written today\n",
        ),
        ("uplink", {"state": "idle", "last_ack": None}, "line      nothing was sent yet\n"),
        ("uplink", {"state": "hold", "failures": 1, "next_try": at(minutes=-15)},
         "line      refused for 3 d; next try in 15 min; last delivery 6 s ago\n"),
        ("uplink", {"state": "misdirected", "last_ack": None, "next_try": at(seconds=1)},
         "line      answered by something else for 3 d; next try now; nothing delivered\n          since start\n"),
        ("uplink", {"state": "unenrolled"}, "line      without a certificate for 3 d; last delivery 6 s ago\n"),
        ("clock", {"synchronised": False, "held": 3}, "clock     not set yet\n"),
        ("identity", {"state": "missing", "name": None}, "identity  none: not enrolled\n"),
        ("identity", {"state": "cloned", "name": None}, "identity  cloned\n"),
        ("identity", {"state": "expired", "days_left": -1, "not_after": at(hours=5), "can_renew": False},
         "identity  sensor-001.example.com (expired 5 h ago; cannot renew by itself:\n          enroll again, with --force)\n"),
        ("identity", {"state": "expired", "days_left": -2, "not_after": at(days=2)},
         "identity  sensor-001.example.com (expired 2 d ago, renews from 2027-02-13 on)\n"),
        ("identity", {"state": "broken"},
         "identity  broken: sensor-001.example.com (201 days left, renews from\n          2027-02-13 on)\n"),
    ],
)  # fmt: skip
def test_each_part_in_words(part: str, change: dict[str, object], line: str) -> None:
    assert line in screen(WELL | {part: WELL[part] | change}, NOW, Look(80))


def test_a_status_of_an_older_daemon_is_shown_too() -> None:
    old = [
        {key: each[key] for key in each if key not in {"trend", "kind", "interval_seconds"}} for each in ILL["sensors"]
    ]
    spool = {key: SPOOL[key] for key in SPOOL if key not in {"room_seconds", "drained_seconds"}}
    shown = screen(ILL | {"sensors": old, "spool": spool}, NOW, Look(80))
    assert "failing, 300 tries in a row" in shown


@pytest.mark.parametrize(
    ("points", "line"),
    [
        ((), ""),
        ((None, None), "  "),
        ((20.0, 20.0), "▅▅"),
        ((20.0, 20.05, 20.0), "▄▅▄"),  # noise is flat
        ((0.0, None, 70.0), "▁ █"),
        ((-18.0, -17.5), "▁█"),
    ],
)
def test_a_trend_is_a_line_with_gaps(points: tuple[float | None, ...], line: str) -> None:
    assert sparkline(points, Look().sparks) == line


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_799, "47 h"),
     (172_800, "2 d"), (729 * 86_400, "729 d"), (731 * 86_400, "2 years")],
)  # fmt: skip
def test_a_duration_has_one_unit(seconds: float, words: str) -> None:
    assert spell(seconds) == words


def test_what_has_passed_is_due_now() -> None:
    assert (until(at(seconds=3), NOW), until(at(seconds=-3), NOW)) == ("now", "in 3 s")


class Stream(io.StringIO):
    """A stdout of that encoding, a terminal or not."""

    def __init__(self, encoding: str | None, *, terminal: bool) -> None:
        super().__init__()
        self.is_terminal = terminal
        self.coded = encoding

    @property
    def encoding(self) -> str | None:  # type: ignore[override]
        return self.coded

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.mark.parametrize(
    ("encoding", "terminal", "environ", "expected"),
    [
        ("utf-8", True, {"TERM": "xterm"}, (True, True)),
        ("utf-8", False, {"TERM": "xterm"}, (True, False)),
        ("utf-8", True, {"TERM": "dumb"}, (True, False)),
        ("utf-8", True, {"NO_COLOR": "1"}, (True, False)),
        ("utf-8", True, {"LC_ALL": "C"}, (False, True)),
        ("ascii", True, {}, (False, True)),
        ("latin-1", True, {}, (False, True)),
        (None, False, {}, (False, False)),
    ],
)
def test_what_a_terminal_can_show(
    encoding: str | None, terminal: bool, environ: dict[str, str], expected: tuple[bool, bool]
) -> None:
    look = look_of(Stream(encoding, terminal=terminal), environ)
    assert (look.unicode, look.colour) == expected


@pytest.mark.parametrize(("terminal", "shown"), [(True, "\x1b[33mWARN\x1b[0m"), (False, "WARN")])
def test_a_mark_has_its_colour_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch, terminal: bool, shown: str) -> None:
    monkeypatch.setattr(sys, "stdout", Stream("utf-8", terminal=terminal))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert mark("warn") == shown


def test_no_terminal_is_eighty_columns_wide() -> None:
    assert look_of(Stream("utf-8", terminal=False), {}).columns == 80


@pytest.mark.parametrize(("said", "columns"), [("50", 50), ("4", 32), ("400", 100), ("0", 80), ("wide", 80), ("", 80)])
def test_somebody_may_say_how_wide_it_is(said: str, columns: int) -> None:
    assert look_of(Stream("utf-8", terminal=True), {"COLUMNS": said}).columns == columns


@pytest.mark.parametrize(
    ("change", "alive", "state", "first"),
    [
        ({}, True, "healthy", None),
        ({}, False, "stopped", "the daemon ended without a word; last seen 7 s ago"),
        ({"state": "stopped", "written": at(hours=3)}, False, "stopped", "the daemon was stopped; last seen 3 h ago"),
        ({"written": at(seconds=200)}, True, "healthy", None),
        ({"written": at(seconds=250)}, True, "broken", "the daemon runs and has said nothing since 4 min ago"),
        ({"written": at(hours=5), "clock": {"synchronised": False, "held": 0}}, True, "healthy", None),
        ({"written": at(hours=5), "sensors": []}, True, "healthy", None),
    ],
)
def test_what_a_daemon_cannot_say_of_itself(
    change: dict[str, object], alive: bool, state: str, first: str | None
) -> None:
    status = judged(WELL | change, NOW, alive=alive)
    assert status["state"] == state
    assert (status["problems"][0]["what"] if status["problems"] else None) == first


def test_the_daemon_that_has_gone_is_the_first_of_the_problems() -> None:
    status = judged(ILL, NOW, alive=False)
    assert [problem["what"].split()[0] for problem in status["problems"]] == ["the", "sensor", "uplink:"]
    assert screen(status, NOW, replace(Look(), columns=80)).startswith(
        "stopped  sensor-agent 0.1.0, last seen 7 s ago\n"
    )
