"""Every event of the log has its number and its explanation, in a form that systemd takes."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from agent.events import MESSAGE_IDS

ROOT: Final = Path(__file__).parent.parent
CATALOGUE: Final = ROOT / "systemd" / "sensor-agent.catalog"
LEVELS: Final = ("info", "warning", "error", "exception", "critical")


class Event(NamedTuple):
    """A line of the log as the source has it; `fields` where it names them in place."""

    text: str
    where: str
    fields: frozenset[str] | None


def events(package: Path) -> Iterator[Event]:
    """Each call of a logger named `log` below the package, but for the development shield's."""
    for file in sorted(package.rglob("*.py")):
        if "devshield" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS):
                continue
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "log":
                text = node.args[0]
                assert isinstance(text, ast.Constant), f"{file}:{node.lineno}: an event's text is constant"
                yield Event(str(text.value), f"{file.name}:{node.lineno}", _fields(node))


def _fields(call: ast.Call) -> frozenset[str] | None:
    extra = next((keyword.value for keyword in call.keywords if keyword.arg == "extra"), None)
    if extra is None:
        return frozenset()
    if not isinstance(extra, ast.Dict):
        return None
    return frozenset(str(key.value) for key in extra.keys if isinstance(key, ast.Constant))


EVENTS: Final = sorted(events(ROOT / "agent"))
ENTRIES: Final = dict(
    re.findall(r"^-- ([0-9a-f]{32})\n(.*?)(?=^-- |^# |\Z)", CATALOGUE.read_text(), re.MULTILINE | re.DOTALL)
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.text)
def test_an_event_has_a_number_and_an_explanation(event: Event) -> None:
    assert event.text in MESSAGE_IDS, f"{event.where}: give it one in agent/events.py (uuidgen | tr -d -)"
    assert MESSAGE_IDS[event.text] in ENTRIES, f"{event.where}: explain it in {CATALOGUE.name}"


def test_no_number_is_given_twice_and_none_is_left_over() -> None:
    assert len(set(MESSAGE_IDS.values())) == len(MESSAGE_IDS)
    assert {event.text for event in EVENTS} == set(MESSAGE_IDS)
    assert set(ENTRIES) == set(MESSAGE_IDS.values())


@pytest.mark.parametrize("event", [event for event in EVENTS if event.fields is not None], ids=lambda each: each.text)
def test_an_explanation_names_only_fields_that_the_event_has(event: Event) -> None:
    assert event.fields is not None
    assert set(re.findall(r"@([A-Z_]+)@", ENTRIES[MESSAGE_IDS[event.text]])) <= event.fields


def test_each_entry_has_a_subject_and_a_text_of_eighty_columns() -> None:
    for entry in ENTRIES.values():
        head, _, text = entry.partition("\n\n")
        assert re.match(r"Subject: \S.*\nDefined-By: sensor-agent\nDocumentation: man:sensor-agent\(1\)$", head)
        assert text.strip()
        assert max(map(len, text.splitlines())) <= 80


@pytest.mark.skipif(shutil.which("journalctl") is None, reason="no systemd here")
def test_systemd_takes_the_catalogue(tmp_path: Path) -> None:
    places = [tmp_path / "usr/lib/systemd/catalog", tmp_path / "var/lib/systemd/catalog"]
    for place in places:
        place.mkdir(parents=True)
    shutil.copy(CATALOGUE, places[0])
    made = subprocess.run(["journalctl", f"--root={tmp_path}", "--update-catalog"], capture_output=True, text=True, check=False)  # fmt: skip
    assert (made.returncode, made.stderr) == (0, "")
    assert (places[1] / "database").stat().st_size > 1000
