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


def enroll_admitted(device: Enrollee, office: RegistrationAuthority) -> None:
    """With a token that waits for nobody; then with one that waits, in its place."""
    device.token.write_text(office.ledger.new_token(expires=4e9, admitted=True))
    assert device("enroll").code == 0
    device.token.write_text(office.ledger.new_token(expires=4e9, name=NAME))


@pytest.mark.parametrize("decided", ["waiting", "refused"])
def test_an_enrollment_that_was_not_granted_keeps_no_valid_pair_from_its_renewal(
    device: Enrollee, office: RegistrationAuthority, decided: str
) -> None:
    enroll_admitted(device, office)
    assert device("enroll", "--force").code == 75
    key = pem.public_key_sha256(device.pending_request())
    if decided == "refused":
        office.ledger.decide(key, "refused")
        device.token.unlink()
    done = device("renew", "--force")
    assert (done.code, done.answer["changed"]) == (0, True), done.said
    assert "an enrollment by token then needs a new token" in done.said
    device.token.write_text(office.ledger.new_token(expires=4e9, name=NAME, admitted=True))
    assert device("enroll", "--force").answer["changed"] is True


def test_a_key_that_was_refused_gives_way_to_another(device: Enrollee, office: RegistrationAuthority) -> None:
    enroll_admitted(device, office)
    assert device("enroll", "--force").code == 75
    office.ledger.decide(pem.public_key_sha256(device.pending_request()), "refused")
    refused = device("enroll", "--force")
    assert refused.code == 77
    for said in ("the key is refused", "the token was used for another key", "give a new one-time token"):
        assert said in refused.said
    device.token.write_text(office.ledger.new_token(expires=4e9, name=NAME, admitted=True))
    assert device("enroll", "--force").answer["changed"] is True


def test_a_new_token_is_not_spoilt_by_a_key_that_was_refused_with_the_one_before(
    device: Enrollee, office: RegistrationAuthority
) -> None:
    assert device("enroll").code == 75
    office.ledger.decide(NAME, "refused")
    device.token.write_text(office.ledger.new_token(expires=4e9, name=NAME, admitted=True))
    done = device("enroll")
    assert (done.code, done.answer["changed"]) == (0, True), done.said


def test_another_name_that_a_spent_token_did_not_get_keeps_no_pair_from_its_renewal(
    device: Enrollee, office: RegistrationAuthority
) -> None:
    device.token.write_text(office.ledger.new_token(expires=4e9, admitted=True))
    assert device("enroll").code == 0
    device.config.write_text(device.config.read_text().replace(NAME, NAME.replace("001", "002")))
    assert device("enroll", "--force").code == 77
    done = device("renew", "--force")
    assert (done.code, done.answer["name"]) == (0, NAME), done.said


def test_an_expired_device_whose_token_is_for_its_new_name_enrolls_though_the_renewal_asked_first(
    device: Enrollee, office: RegistrationAuthority
) -> None:
    put_expired(device)
    new = NAME.replace("001", "002")
    device.config.write_text(device.config.read_text().replace(NAME, new))
    device.token.write_text(office.ledger.new_token(expires=4e9, name=new, admitted=True))
    assert device("renew").code in {75, 77}  # for its old name; then by the pair, which opens no door any more
    assert device("enroll").answer["changed"] is True


def test_a_renewal_that_was_cut_off_fetches_what_the_authority_had_issued(
    device: Enrollee, office: RegistrationAuthority
) -> None:
    enroll_admitted(device, office)
    first, at = device.cert.read_bytes(), 1
    while not cut_once_issued(device, office, at=at):
        at += 1
    request = device.pending_request()
    assert device.cert.read_bytes() == first
    done = device("renew", "--force")
    assert (done.code, done.answer["changed"]) == (0, True), done.said
    assert pem.belong_together(device.key.read_bytes(), request)
    assert len(office.ledger.entries()) == 2


def cut_once_issued(device: Enrollee, office: RegistrationAuthority, *, at: int) -> bool:
    """Cut a renewal off at that file operation; whether the authority had answered by then."""
    with pytest.raises(PowerCut), SWITCH.cut(device.store, at=at):
        device("renew", "--force")
    return len(office.ledger.entries()) == 2
