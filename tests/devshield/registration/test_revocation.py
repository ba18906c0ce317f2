"""A revocation stays one, whatever is under way: signing, a lost answer, a device's first contact, a renewal."""

import fcntl
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from world.fleet import NAME, call, request_for
from world.slow_signer import SlowSigner
from world.visitors import Got, Pair, put

from agent.devshield.authority import Authority
from agent.devshield.registration.office import RegistrationAuthority, Setup
from agent.devshield.registration.policy import Policy
from agent.devshield.shield import Shield

LOCKS = Path("/proc/locks")
LATER = 4_000_000_000.0
AUTHORITY = [sys.executable, "-m", "agent", "shield", "authority"]


@pytest.fixture
def signer(authority: Authority) -> SlowSigner:
    return SlowSigner(authority)


@pytest.fixture
def slow(signer: SlowSigner, tmp_path: Path) -> Iterator[RegistrationAuthority]:
    """An authority with that signer."""
    with RegistrationAuthority(
        Setup(tmp_path / "office", Policy(("sensor-*.devices.example.com",))), signer=signer
    ) as office:
        yield office


def operator(office: RegistrationAuthority, *words: str) -> str:
    """What a command of the operator says, which is a process of its own."""
    command = [*AUTHORITY, *words, "--dir", str(office.ledger.directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout


def states(office: RegistrationAuthority) -> list[str]:
    return [entry.state for entry in office.ledger.entries()]


def listed(office: RegistrationAuthority) -> tuple[list[str], list[str]]:
    """The fingerprints in force, and those that were."""
    files = (office.ledger.allowed_file, office.ledger.directory / "revoked-fingerprints")
    allowed, revoked = ([line.split()[0] for line in file.read_text().splitlines()] for file in files)
    return allowed, revoked


def first(office: RegistrationAuthority, directory: Path) -> Pair:
    """A device's first certificate."""
    key, csr = request_for()
    got = call(office, "POST", csr, token=office.ledger.new_token(expires=LATER))
    return put(directory, "first", json.loads(got.body)["result"]["certificate"].encode(), key)


def test_revoked_while_the_issuer_signs_the_certificate_is_revoked_and_not_handed_out(
    slow: RegistrationAuthority, signer: SlowSigner
) -> None:
    token, (_, csr) = slow.ledger.new_token(expires=LATER), request_for()
    with signer.held("sign", lambda: call(slow, "POST", csr, token=token)) as asked:
        assert operator(slow, "revoke", NAME).startswith(f"revoked: {NAME}")

    [entry] = slow.ledger.entries()
    assert (asked.result().status, b"the key is revoked" in asked.result().body) == (403, True)
    assert (entry.state, signer.revoked) == ("revoked", ["id0"])
    assert listed(slow) == ([], [entry.fingerprint_sha256])
    assert call(slow, "POST", csr, token=token).status == 403
    assert json.loads(call(slow, "GET", token=token).body)["result"] == []


def test_revoked_while_the_issuer_signs_and_then_not_ready_the_same_command_again_revokes(
    slow: RegistrationAuthority, signer: SlowSigner, caplog: pytest.LogCaptureFixture
) -> None:
    token, (_, csr) = slow.ledger.new_token(expires=LATER), request_for()
    signer.answers_lost["revoke"] = 1
    with signer.held("sign", lambda: call(slow, "POST", csr, token=token)) as asked:
        operator(slow, "revoke", NAME)

    assert (asked.result().status, signer.revoked, listed(slow)[0]) == (403, [], [])
    [told] = [record.__dict__["HINT"] for record in caplog.records if record.message == "certificate not revoked"]
    assert told == f"sensor-agent shield authority revoke {NAME}"
    assert [entry.issuer_id for entry in slow.ledger.revoke(NAME)[0]] == ["id0"]


def test_revoked_while_a_lost_answer_is_looked_for_nothing_more_is_signed(
    slow: RegistrationAuthority, signer: SlowSigner
) -> None:
    token, (_, csr) = slow.ledger.new_token(expires=LATER), request_for()
    signer.answers_lost["sign"] = 1
    assert call(slow, "POST", csr, token=token).status == 503
    with signer.held("find", lambda: call(slow, "POST", csr, token=token)) as asked:
        operator(slow, "revoke", NAME)

    assert (asked.result().status, states(slow), signer.made) == (403, ["revoked"], [])


def test_certificate_whose_answer_got_lost_is_found_and_revoked(shield: Shield, office: RegistrationAuthority) -> None:
    token, (_, csr) = office.ledger.new_token(expires=LATER), request_for()
    shield.faults.put("api", ["lost*1"])
    assert call(office, "POST", csr, token=token).status == 503  # the zone has signed, and we do not know
    assert operator(office, "revoke", NAME).startswith("revoked")

    assert [issue.revoked for issue in shield.issued.all()] == [True]
    assert call(office, "POST", csr, token=token).status == 403


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_first_contact_while_the_operator_revokes_gives_nothing_back(
    slow: RegistrationAuthority, tmp_path: Path, method: str
) -> None:
    shown = first(slow, tmp_path)
    [file] = (slow.ledger.directory / "keys").glob("*.json")
    csr = request_for()[1] if method == "POST" else None

    def revoke() -> None:
        file.write_text(json.dumps(json.loads(file.read_text()) | {"state": "revoked"}))

    assert meanwhile(slow, lambda: call(slow, method, csr, shown=shown), revoke).status == 403
    assert states(slow) == ["revoked"]
    assert call(slow, "GET", shown=shown).status == 403


def meanwhile(office: RegistrationAuthority, ask: Callable[[], Got], change: Callable[[], object]) -> Got:
    """What a caller gets whose records are changed after they were read and before they can be written."""
    lock = office.ledger.directory / "lock"
    with ThreadPoolExecutor(1) as pool, lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        asked = pool.submit(ask)
        awaited(lock)
        change()
        fcntl.flock(held, fcntl.LOCK_UN)
        return asked.result(30)


def awaited(lock: Path) -> None:
    """Return when somebody waits for that lock: proc_locks(5)."""
    deadline = time.monotonic() + 30
    while not any("->" in line and f":{lock.stat().st_ino} " in line for line in LOCKS.read_text().splitlines()):
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def test_predecessor_revoked_by_the_operator_is_not_called_replaced(
    slow: RegistrationAuthority, signer: SlowSigner, tmp_path: Path
) -> None:
    shown, (key, csr) = first(slow, tmp_path), request_for()
    [old] = slow.ledger.entries()
    got = call(slow, "POST", csr, shown=shown)
    second = put(tmp_path, "second", json.loads(got.body)["result"]["certificate"].encode(), key)
    with signer.held("revoke", lambda: call(slow, "GET", shown=second)) as asked:
        operator(slow, "revoke", old.key)

    assert (asked.result().status, states(slow)) == (200, ["revoked", "issued"])
    assert call(slow, "GET", shown=shown).status == 403


def test_certificate_revoked_by_its_fingerprint_takes_the_renewal_that_is_being_signed_with_it(
    slow: RegistrationAuthority, signer: SlowSigner, tmp_path: Path
) -> None:
    shown, (_, csr) = first(slow, tmp_path), request_for()
    [old] = slow.ledger.entries()
    with signer.held("sign", lambda: call(slow, "POST", csr, shown=shown)) as asked:
        operator(slow, "revoke", old.fingerprint_sha256[:16])

    assert (asked.result().status, states(slow), signer.revoked) == (403, ["revoked", "revoked"], ["id1"])
    assert listed(slow)[0] == []


def test_revoking_a_name_withdraws_the_tokens_that_it_has_left(slow: RegistrationAuthority) -> None:
    used, left = (slow.ledger.new_token(expires=LATER, name=NAME) for _ in range(2))
    other = slow.ledger.new_token(expires=LATER, name="sensor-002.devices.example.com")
    call(slow, "POST", request_for()[1], token=used)

    said = operator(slow, "revoke", NAME).splitlines()

    assert said[:-1] == [f"withdrawn: 1 unused token for {NAME}"]
    assert call(slow, "POST", request_for()[1], token=left).status == 403
    assert call(slow, "POST", request_for("sensor-002.devices.example.com")[1], token=other).status == 200


def test_token_is_withdrawn_before_any_device_came_with_it(slow: RegistrationAuthority) -> None:
    tokens = [slow.ledger.new_token(expires=LATER, name=name) for name in (NAME, "")]
    anyones = next(file.stem for file in (slow.ledger.directory / "tokens").iterdir() if NAME not in file.read_text())

    assert operator(slow, "revoke", NAME) == f"withdrawn: 1 unused token for {NAME}\n"
    assert operator(slow, "revoke", anyones[:8]) == f"withdrawn: 1 unused token for {anyones[:8]}\n"
    assert [call(slow, "POST", request_for()[1], token=token).status for token in tokens] == [403, 403]


def test_token_withdrawn_while_its_device_asks_gives_nothing(slow: RegistrationAuthority) -> None:
    token, (_, csr) = slow.ledger.new_token(expires=LATER), request_for()
    [file] = (slow.ledger.directory / "tokens").glob("*.json")

    assert meanwhile(slow, lambda: call(slow, "POST", csr, token=token), file.unlink).status == 403
    assert states(slow) == []
