"""Renewal over mTLS, and what becomes of the certificate before."""

import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from world.fleet import NAME, Device, call, renewed, request_for
from world.visitors import Pair, pair, put, visit

from agent.devshield.authority import Authority
from agent.devshield.registration.desk import PATH
from agent.devshield.registration.office import RegistrationAuthority
from agent.devshield.shield import Shield

LATER = 4_000_000_000.0


def certificate(body: bytes) -> bytes:
    """The one of an answer."""
    return str(json.loads(body)["result"]["certificate"]).encode()


@pytest.fixture
def first(office: RegistrationAuthority, tmp_path: Path) -> Pair:
    """A device's first certificate."""
    key, csr = request_for()
    got = call(office, "POST", csr, token=office.ledger.new_token(expires=LATER))
    return put(tmp_path, "first", certificate(got.body), key)


def statuses(shield: Shield) -> list[str]:
    """Of the zone's certificates, the oldest first."""
    return ["revoked" if issue.revoked else "active" for issue in reversed(shield.issued.all())]


def test_old_certificate_buys_a_new_one_and_both_stay_in_force_until_the_new_one_is_seen(
    shield: Shield, office: RegistrationAuthority, first: Pair, tmp_path: Path
) -> None:
    key, csr = request_for()
    got = call(office, "POST", csr, shown=first)
    second = put(tmp_path, "second", certificate(got.body), key)
    before = statuses(shield), len(office.ledger.allowed_file.read_text().splitlines())

    seen = call(office, "GET", shown=second)

    assert before == (["active", "active"], 2)
    assert [result["common_name"] for result in json.loads(seen.body)["result"]] == [NAME]
    assert (statuses(shield), len(office.ledger.allowed_file.read_text().splitlines())) == (["revoked", "active"], 1)


def test_device_renews_by_itself_again_and_again_and_holds_one_certificate(
    shield: Shield, office: RegistrationAuthority, tmp_path: Path
) -> None:
    device = Device(tmp_path, NAME, office.where)
    device.enroll(office.ledger.new_token(expires=LATER))
    keys = [device.pair[1].read_bytes()]
    for _ in range(2):
        assert renewed(device).changed
        keys.append(device.pair[1].read_bytes())

    assert len(set(keys)) == 3
    assert statuses(shield) == ["revoked", "revoked", "active"]
    assert visit(shield, device.pair).status == 201


def test_list_has_one_page(office: RegistrationAuthority, first: Pair) -> None:
    counts = [
        len(json.loads(call(office, "GET", shown=first, path=f"{PATH}?status=active&page={page}").body)["result"])
        for page in (1, 2)
    ]

    assert counts == [1, 0]


def test_lost_answer_of_a_renewal_is_free(shield: Shield, office: RegistrationAuthority, first: Pair) -> None:
    _, csr = request_for()

    assert call(office, "POST", csr, shown=first).body == call(office, "POST", csr, shown=first).body
    assert statuses(shield) == ["active", "active"]


def test_predecessor_that_could_not_be_revoked_is_tried_at_the_next_renewal(
    shield: Shield, office: RegistrationAuthority, first: Pair, tmp_path: Path
) -> None:
    key, csr = request_for()
    second = put(tmp_path, "second", certificate(call(office, "POST", csr, shown=first).body), key)
    shield.faults.put("api", ["500*1"])
    call(office, "GET", shown=second)
    key, csr = request_for()
    third = put(tmp_path, "third", certificate(call(office, "POST", csr, shown=second).body), key)

    call(office, "GET", shown=third)

    assert statuses(shield) == ["revoked", "revoked", "active"]


@pytest.mark.parametrize(
    ("name", "status"), [("sensor-002.devices.example.com", 400), ("shield.example.com", 400), (NAME, 200)]
)
def test_renewal_is_for_the_same_name(office: RegistrationAuthority, first: Pair, name: str, status: int) -> None:
    assert call(office, "POST", request_for(name)[1], shown=first).status == status


def test_renewal_of_the_same_key_is_refused(office: RegistrationAuthority, tmp_path: Path) -> None:
    key, csr = request_for()
    got = call(office, "POST", csr, token=office.ledger.new_token(expires=LATER))
    own = put(tmp_path, "own", certificate(got.body), key)

    again = call(office, "POST", csr, shown=own)

    assert (again.status, b"new key" in again.body) == (400, True)


def test_replaced_certificate_buys_nothing_new_but_still_fetches_its_successor(
    office: RegistrationAuthority, first: Pair, tmp_path: Path
) -> None:
    key, csr = request_for()
    got = call(office, "POST", csr, shown=first)
    call(office, "GET", shown=put(tmp_path, "second", certificate(got.body), key))

    assert call(office, "POST", csr, shown=first).body == got.body
    assert call(office, "POST", request_for()[1], shown=first).status == 403


def test_expired_certificate_renews_nothing_whatever_tls_lets_in(
    make_office: Callable[..., RegistrationAuthority], tmp_path: Path
) -> None:
    offset = [0.0]
    office = make_office(now=lambda: time.time() + offset[0])
    key, csr = request_for()
    got = call(office, "POST", csr, token=office.ledger.new_token(expires=LATER))
    shown = put(tmp_path, "first", certificate(got.body), key)

    offset[0] = 31 * 86_400.0

    assert call(office, "POST", request_for()[1], shown=shown).status == 403


def test_revoked_device_renews_nothing(office: RegistrationAuthority, first: Pair) -> None:
    office.ledger.revoke(NAME)

    assert call(office, "POST", request_for()[1], shown=first).status == 403
    assert office.ledger.allowed_file.read_text() == ""


@pytest.mark.parametrize("kind", ["p256", "foreign", "self-signed", "expired"])
def test_certificate_that_this_authority_did_not_issue_renews_nothing(
    office: RegistrationAuthority, authority: Authority, tmp_path: Path, kind: str
) -> None:
    # "p256" is signed by the very zone, for somebody else
    stranger = pair(tmp_path, kind, authority)

    with pytest.raises((ssl.SSLError, ConnectionError)):
        call(office, "POST", request_for()[1], shown=stranger)
