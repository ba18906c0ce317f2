"""What an operator does: approvals, and the commands beside a running authority."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from world.fleet import NAME, Device, call, request_for
from world.users import NOBODY

from agent.devshield.registration.ledger import Ledger
from agent.devshield.registration.office import RegistrationAuthority
from agent.devshield.registration.place import refuse_others
from agent.devshield.registration.records import hash_of
from agent.devshield.shield import Shield
from agent.errors import CannotWrite, ConfigError, TryLater

LATER = 4_000_000_000.0
AUTHORITY = [sys.executable, "-m", "agent", "shield", "authority"]


@pytest.fixture
def strict_office(make_office: Callable[..., RegistrationAuthority]) -> RegistrationAuthority:
    """Every device waits for a person."""
    return make_office(approve=True)


def test_device_waits_until_it_is_approved_and_is_told_when_to_ask(
    shield: Shield, strict_office: RegistrationAuthority
) -> None:
    token, (_, csr) = strict_office.ledger.new_token(expires=LATER), request_for()
    first = call(strict_office, "POST", csr, token=token)
    before = len(shield.issued.all())
    listed = call(strict_office, "GET", token=token)

    strict_office.ledger.decide(NAME, "admitted")

    assert (first.status, first.headers["Retry-After"], before) == (202, "2", 0)
    assert json.loads(first.body)["result"]["status"] == "waiting"
    assert json.loads(listed.body)["result"] == []
    assert call(strict_office, "POST", csr, token=token).status == 200


def test_enrollment_that_waits_has_its_certificate_once_it_is_approved_by_the_key_it_shows(
    strict_office: RegistrationAuthority, tmp_path: Path
) -> None:
    device, token = Device(tmp_path, NAME, strict_office.where), strict_office.ledger.new_token(expires=LATER)
    with pytest.raises(TryLater) as caught:
        device.enroll(token)
    key = str(caught.value).split()[-1]
    strict_office.ledger.decide(key[:16], "admitted")

    assert device.enroll(token, wait_seconds=30).state == "enrolled"


def test_device_with_an_admitted_token_need_not_wait(strict_office: RegistrationAuthority) -> None:
    token = strict_office.ledger.new_token(expires=LATER, admitted=True)

    assert call(strict_office, "POST", request_for()[1], token=token).status == 200


def test_device_that_was_refused_gets_nothing(shield: Shield, strict_office: RegistrationAuthority) -> None:
    token, (_, csr) = strict_office.ledger.new_token(expires=LATER), request_for()
    call(strict_office, "POST", csr, token=token)
    strict_office.ledger.decide(NAME, "refused")

    assert call(strict_office, "POST", csr, token=token).status == 403
    assert shield.issued.all() == []


def test_clone_that_waits_under_the_same_name_must_be_told_apart_by_key(strict_office: RegistrationAuthority) -> None:
    for _ in range(2):
        call(strict_office, "POST", request_for()[1], token=strict_office.ledger.new_token(expires=LATER))
    one, other = strict_office.ledger.entries()

    with pytest.raises(ConfigError, match="2 keys are meant"):
        strict_office.ledger.decide(NAME, "admitted")
    strict_office.ledger.decide(one.key[:16], "admitted")

    assert [strict_office.ledger.entry(entry.key).state for entry in (one, other)] == ["admitted", "waiting"]  # type: ignore[union-attr]


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    """One of the operator's commands."""
    return subprocess.run([*AUTHORITY, *words], capture_output=True, text=True, check=False, timeout=30)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """An authority as a process that signs by itself: its directory, and where it is."""
    directory = tmp_path / "authority"
    command = [*AUTHORITY, "serve", "--dir", str(directory), "--names", "sensor-*.devices.example.com", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield directory, json.loads(process.stdout.readline())
        finally:
            process.terminate()
            assert process.wait(10) == 0


def test_commands_beside_the_server_make_a_token_list_and_revoke(
    served: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    directory, where = served
    token = run("token", "--dir", str(directory)).stdout.strip()
    device = Device(tmp_path, NAME, where)
    state = device.enroll(token).state
    listed = json.loads(run("list", "--dir", str(directory), "--json").stdout)["keys"]
    revoked = run("revoke", "--dir", str(directory), NAME)
    after = json.loads(run("list", "--dir", str(directory), "--json").stdout)["keys"]

    assert (state, [row["state"] for row in listed], [row["state"] for row in after]) == (
        "enrolled",
        ["issued"],
        ["revoked"],
    )
    assert (revoked.returncode, (directory / "allowed-fingerprints").read_text()) == (0, "")
    fingerprint = listed[0]["fingerprint_sha256"]
    assert (directory / "revoked-fingerprints").read_text() == f"{fingerprint} {NAME}\n"
    assert run("revoke", "--dir", str(directory), "nobody").returncode == 78


def test_serve_without_the_zones_token_is_a_mistake_in_the_command(tmp_path: Path) -> None:
    done = run("serve", "--dir", str(tmp_path), "--names", "x", "--zone", "abc", "--zone-token-file", "/nonexistent")

    assert (done.returncode, "/nonexistent: no token" in done.stderr) == (78, True)


def test_a_record_that_the_authority_cannot_read_does_not_look_like_a_broken_network(
    office: RegistrationAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    (office.ledger.directory / "tokens" / f"{hash_of('t0ken')}.json").mkdir()

    assert call(office, "GET", token="t0ken").status == 500
    assert any("IsADirectoryError" in record.__dict__.get("REASON", "") for record in caplog.records)


def test_commands_of_another_user_are_refused_with_the_one_to_run(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to give a directory away")
    Ledger(tmp_path)
    os.chown(tmp_path, NOBODY, NOBODY)
    done = [run(*words, "--dir", str(tmp_path)) for words in (["token"], ["serve", "--names", "x"], ["approve", "x"])]

    assert [each.returncode for each in done] == [73] * 3
    assert all(re.search("next: sudo -u nobody sensor-agent shield authority", each.stderr) for each in done)
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == []
    assert run("list", "--dir", str(tmp_path)).returncode == 0


def test_a_directory_that_is_ours_or_not_there_yet_is_nobody_elses(tmp_path: Path) -> None:
    refuse_others(tmp_path, os.geteuid())
    refuse_others(tmp_path / "new", os.geteuid())

    with pytest.raises(CannotWrite, match=f"{tmp_path}: belongs to .*, and this is #4000000000"):
        refuse_others(tmp_path, 4_000_000_000)


@pytest.mark.parametrize("words", [["token"], ["list"], ["approve", "x"], ["refuse", "x"], ["revoke", "x"]])
def test_commands_for_a_directory_that_is_no_authoritys_make_none_of_it(words: list[str], tmp_path: Path) -> None:
    mistyped = tmp_path / "authorty"
    done = [run(*words, "--dir", str(directory)) for directory in (mistyped, tmp_path)]

    assert [each.returncode for each in done] == [78, 78]
    assert f"{mistyped}: no authority has run there" in done[0].stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("days", "warned"), [("4", True), ("5", False)])
def test_life_that_is_over_before_the_daily_renewal_comes_is_told(days: str, warned: bool, tmp_path: Path) -> None:
    command = [*AUTHORITY, "serve", "--dir", str(tmp_path), "--names", "x", "--days", days, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        _, said = process.communicate(timeout=30)

    assert ("certificates may end before the daily renewal" in said) is warned
