"""`enroll` and `renew` of one device beside each other, at a real authority where a person approves."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from world.crash import SWITCH, PowerCut
from world.enrollee import NAME, Enrollee
from world.identities import authority

from agent import pem
from agent.devshield.registration.office import RegistrationAuthority, Setup
from agent.devshield.registration.policy import Policy
from agent.identity_store import IdentityStore


@pytest.fixture
def office(tmp_path: Path) -> Iterator[RegistrationAuthority]:
    """Every device waits for a person."""
    with ExitStack() as undo:
        policy = Policy(("sensor-*.devices.example.com",), 30)
        yield undo.enter_context(RegistrationAuthority(Setup(tmp_path / "office", policy, approve=True)))


@pytest.fixture
def device(tmp_path: Path, office: RegistrationAuthority) -> Enrollee:
    """With a fresh token."""
    made = Enrollee(tmp_path / "device")
    url = office.where["url"]
    made.configure(url=url, zone_id="", ca_file=Path(office.where["ca_file"]), more=f'renew_url = "{url}"')
    made.token.write_text(office.ledger.new_token(expires=4e9, name=NAME))
    return made


def put_expired(device: Enrollee) -> None:
    """A pair in force that expired yesterday."""
    key, now = pem.new_key("p256"), datetime.now(UTC)
    request = pem.signing_request(key, name=NAME, subject={"O": "Lab"})
    certificate = authority().sign(request, not_before=now - timedelta(30), not_after=now - timedelta(1))
    store = IdentityStore(device.store)
    with store.lock():
        store.commit(key=key, certificate=certificate, meta={})
        store.check_places(device.cert, device.key)
        store.place(device.cert, device.key)


@pytest.mark.parametrize(("asks", "goes_on"), list(product(["enroll", "renew"], repeat=2)))
def test_an_expired_device_has_one_request_whichever_command_asked_and_whichever_goes_on(
    device: Enrollee, office: RegistrationAuthority, asks: str, goes_on: str
) -> None:
    put_expired(device)
    assert device(asks).code == 75
    request = device.pending_request()
    for command in ("enroll", "renew", goes_on):
        assert device(command).code == 75, command
        assert device.pending_request() == request
    office.ledger.decide(NAME, "admitted")
    done = device(goes_on)
    assert (done.code, done.answer["changed"]) == (0, True), done.said
    assert [entry.state for entry in office.ledger.entries()] == ["issued"]


def test_a_renewal_leaves_the_request_that_a_token_is_bound_to_and_the_pair_in_force(
    device: Enrollee, office: RegistrationAuthority
) -> None:
    device.token.write_text(office.ledger.new_token(expires=4e9, admitted=True))
    assert device("enroll").code == 0
    before = device.cert.read_bytes()
    device.token.write_text(office.ledger.new_token(expires=4e9, name=NAME))
    assert device("enroll", "--force").code == 75
    request = device.pending_request()
    refused = device("renew", "--force")  # the authority knows the key as the token's, which still waits
    assert (refused.code, device.pending_request(), device.cert.read_bytes()) == (77, request, before), refused.said
    office.ledger.decide(NAME, "admitted")
    assert device("enroll", "--force").answer["changed"] is True


def test_an_enrollment_by_token_fetches_what_a_renewal_was_cut_off_with(
    device: Enrollee, office: RegistrationAuthority
) -> None:
    device.token.write_text(office.ledger.new_token(expires=4e9, admitted=True))
    assert device("enroll").code == 0
    first, at = device.cert.read_bytes(), 1
    while not cut_once_issued(device, office, at=at):
        at += 1
    request = device.pending_request()
    assert device.cert.read_bytes() == first
    device.token.write_text(office.ledger.new_token(expires=4e9, name=NAME))
    done = device("enroll", "--force")
    assert (done.code, done.answer["changed"]) == (0, True), done.said
    assert pem.belong_together(device.key.read_bytes(), request)
    assert len(office.ledger.entries()) == 2


def cut_once_issued(device: Enrollee, office: RegistrationAuthority, *, at: int) -> bool:
    """Cut a renewal off at that file operation; whether the authority had answered by then."""
    with pytest.raises(PowerCut), SWITCH.cut(device.store, at=at):
        device("renew", "--force")
    return len(office.ledger.entries()) == 2
