"""The lists for an edge and for the Worker: who is let in, who was, and the command that makes a register of both."""

import json
import re
import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import Final

import pytest
from world.fleet import NAME, call, request_for
from world.visitors import put

from agent.devshield.authority import Authority
from agent.devshield.registration.ledger import Ledger
from agent.devshield.registration.office import RegistrationAuthority
from agent.devshield.registration.records import Entry, Signed, State
from agent.devshield.registration.transitions import certified, moved, seen
from agent.errors import CannotWrite

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


@pytest.mark.parametrize("again", ["GET", "POST"])
def test_certificate_that_could_not_be_listed_is_listed_and_trusted_at_the_next_question(
    office: RegistrationAuthority, tmp_path: Path, again: str
) -> None:
    key, csr = request_for()
    token, allowed = office.ledger.new_token(expires=4_000_000_000.0), office.ledger.allowed_file
    allowed.unlink()
    allowed.symlink_to("/dev/full")
    failed = call(office, "POST", csr, token=token)
    assert (failed.status, failed.headers["Retry-After"]) == (503, "600")
    got = call(office, again, csr if again == "POST" else None, token=token)
    result = json.loads(got.body)["result"]
    text = (result if again == "POST" else result[0])["certificate"]
    assert (got.status, names(allowed)) == (200, [NAME])
    assert call(office, "GET", shown=put(tmp_path, "device", text.encode(), key)).status == 200


def test_every_change_that_could_not_be_listed_is_in_the_lists_with_the_next(
    ledger: Ledger, authority: Authority
) -> None:
    ledger.allowed_file.unlink()
    ledger.allowed_file.symlink_to("/dev/full")
    for letter in "01":
        signed = Signed(authority.issue_server([f"sensor-{letter}"])[1].decode(), "id")
        ledger.add(Entry(letter * 64, f"sensor-{letter}", "asked", "", 1.0))
        with pytest.raises(CannotWrite) if letter == "0" else nullcontext():
            ledger.change(letter * 64, lambda now, signed=signed: certified(now, signed))  # type: ignore[misc]
    assert names(ledger.allowed_file) == ["sensor-a", "sensor-0", "sensor-1"]


def test_the_command_of_the_page_makes_the_workers_register_of_both(ledger: Ledger) -> None:
    [command] = re.findall(r"^awk .*$", PAGE.read_text(), flags=re.MULTILINE)
    subprocess.run(["sh", "-c", command], cwd=ledger.directory, check=True)
    register = json.loads((ledger.directory / "register.json").read_text())
    assert {each["key"][0]: json.loads(each["value"]) for each in register} == {
        "a": {},
        **{letter: {"revoked": True} for letter in "bcd"},
    }
