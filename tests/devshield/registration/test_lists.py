"""The lists for an edge and for the Worker: who is let in, who was, and the command that makes a register of both."""

import json
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from agent.devshield.authority import Authority
from agent.devshield.registration.ledger import Ledger
from agent.devshield.registration.records import Entry, Signed, State
from agent.devshield.registration.transitions import certified, moved, seen

PAGE: Final = Path(__file__).parents[3] / "docs/shield.md"


def entry(letter: str, state: State) -> Entry:
    return Entry(letter * 64, f"sensor-{letter}", state, "", 0.0, fingerprint_sha256=letter * 64)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path)
    for letter, state in {"a": "issued", "b": "replaced", "c": "revoked", "d": "refused"}.items():
        made.add(entry(letter, state))  # type: ignore[arg-type]
    made.add(Entry("e" * 64, "sensor-e", "waiting", "", 0.0))
    made.write_lists()
    return made


def names(file: Path) -> list[str]:
    return [line.split()[1] for line in file.read_text().splitlines()]


def test_who_was_let_in_and_is_not_now_is_in_a_list_of_its_own(ledger: Ledger) -> None:
    assert names(ledger.allowed_file) == ["sensor-a"]
    assert names(ledger.directory / "revoked-fingerprints") == ["sensor-b", "sensor-c", "sensor-d"]


def test_every_change_is_in_the_lists_when_it_is_on_disk(ledger: Ledger, authority: Authority) -> None:
    signed = Signed(authority.issue_server(["sensor-g"])[1].decode(), "id")
    ledger.add(Entry("0" * 64, "sensor-g", "asked", "", 1.0))
    ledger.change("0" * 64, lambda now: certified(now, signed))
    ledger.change("0" * 64, seen)
    assert names(ledger.allowed_file) == ["sensor-a", "sensor-g"]
    ledger.change("0" * 64, lambda now: moved(now, "replaced"))
    assert names(ledger.allowed_file) == ["sensor-a"]
    assert names(ledger.directory / "revoked-fingerprints")[-1] == "sensor-g"


def test_revoked_while_the_issuer_was_asked_it_is_in_the_list_of_those_who_were(
    ledger: Ledger, authority: Authority
) -> None:
    signed = Signed(authority.issue_server(["sensor-g"])[1].decode(), "id")
    ledger.add(Entry("0" * 64, "sensor-g", "asked", "", 1.0))
    ledger.revoke("sensor-g")
    ledger.change("0" * 64, lambda now: certified(now, signed))
    assert names(ledger.allowed_file) == ["sensor-a"]
    assert names(ledger.directory / "revoked-fingerprints")[-1] == "sensor-g"


def test_the_command_of_the_page_makes_the_workers_register_of_both(ledger: Ledger) -> None:
    [command] = re.findall(r"^awk .*$", PAGE.read_text(), flags=re.MULTILINE)
    subprocess.run(["sh", "-c", command], cwd=ledger.directory, check=True)
    register = json.loads((ledger.directory / "register.json").read_text())
    assert {each["key"][0]: json.loads(each["value"]) for each in register} == {
        "a": {},
        **{letter: {"revoked": True} for letter in "bcd"},
    }
