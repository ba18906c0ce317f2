"""The lists for an edge and for the Worker: who is let in, who was, and the command that makes a register of both."""

import json
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from agent.devshield.registration.ledger import Ledger
from agent.devshield.registration.records import Entry, State

PAGE: Final = Path(__file__).parents[3] / "docs/shield.md"


def entry(letter: str, state: State) -> Entry:
    return Entry(letter * 64, f"sensor-{letter}", state, "", 0.0, fingerprint_sha256=letter * 64)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path)
    for letter, state in {"a": "issued", "b": "replaced", "c": "revoked", "d": "refused"}.items():
        made.keep(entry(letter, state))  # type: ignore[arg-type]
    made.keep(Entry("e" * 64, "sensor-e", "waiting", "", 0.0))
    made.write_allowed()
    return made


def names(file: Path) -> list[str]:
    return [line.split()[1] for line in file.read_text().splitlines()]


def test_who_was_let_in_and_is_not_now_is_in_a_list_of_its_own(ledger: Ledger) -> None:
    assert names(ledger.allowed_file) == ["sensor-a"]
    assert names(ledger.directory / "revoked-fingerprints") == ["sensor-b", "sensor-c", "sensor-d"]


def test_who_was_refused_while_the_issuer_was_asked_is_not_let_in(ledger: Ledger) -> None:
    refused = ledger.keep(entry("f", "refused"))
    ledger.add_allowed(refused)
    assert names(ledger.allowed_file) == ["sensor-a"]
    assert names(ledger.directory / "revoked-fingerprints")[-1] == "sensor-f"


def test_the_command_of_the_page_makes_the_workers_register_of_both(ledger: Ledger) -> None:
    [command] = re.findall(r"^awk .*$", PAGE.read_text(), flags=re.MULTILINE)
    subprocess.run(["sh", "-c", command], cwd=ledger.directory, check=True)
    register = json.loads((ledger.directory / "register.json").read_text())
    assert {each["key"][0]: json.loads(each["value"]) for each in register} == {
        "a": {},
        **{letter: {"revoked": True} for letter in "bcd"},
    }
