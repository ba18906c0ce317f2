"""The authority end to end: the real enrollment over TLS, the shield's zone behind it, a device that delivers."""

import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from world.fleet import NAME, Device, call, request_for
from world.visitors import connection, put, visit

from agent.devshield.registration.desk import PATH
from agent.devshield.registration.ledger import Ledger
from agent.devshield.registration.office import RegistrationAuthority
from agent.devshield.shield import Shield
from agent.errors import Refused, TryLater

LATER = 4_000_000_000.0
FLEET = 100


def active(shield: Shield) -> list[str]:
    """Names of the zone's certificates in force."""
    return [issue.fields["common_name"] for issue in shield.issued.all() if not issue.revoked]


def test_a_hundred_devices_enroll_at_once_and_each_gets_one_certificate(
    shield: Shield, office: RegistrationAuthority, tmp_path: Path
) -> None:
    names = [f"sensor-{number:03d}.devices.example.com" for number in range(FLEET)]
    devices = []
    for name in names:
        (tmp_path / name).mkdir()
        devices.append((Device(tmp_path / name, name, office.where), office.ledger.new_token(expires=LATER)))
    shield.faults.put("api", ["lost*5", "500*5"])  # some answers never come; those devices ask again
    together = threading.Barrier(FLEET)

    def enroll(device: Device, token: str) -> str:
        together.wait(30)
        return device.enroll(token, wait_seconds=60).state

    with ThreadPoolExecutor(FLEET) as pool:
        states = list(pool.map(enroll, *zip(*devices, strict=True)))

    assert Counter(states) == {"enrolled": FLEET}
    assert sorted(active(shield)) == names
    allowed = dict(line.split() for line in office.ledger.allowed_file.read_text().splitlines())
    assert sorted(allowed.values()) == names
    assert visit(shield, devices[17][0].pair).status == 201
    row = shield.requests()[-1]
    assert allowed[row["fingerprint_sha256"]] == names[17]


def test_device_after_a_lost_answer_of_the_authority_has_the_same_certificate(
    shield: Shield, office: RegistrationAuthority
) -> None:
    token = office.ledger.new_token(expires=LATER)
    _, csr = request_for()

    answers = [json.loads(call(office, "POST", csr, token=token).body)["result"] for _ in range(3)]

    assert answers[0] == answers[1] == answers[2]
    assert active(shield) == [NAME]


def test_answer_of_the_zone_that_got_lost_is_found_and_not_asked_for_again(
    shield: Shield, office: RegistrationAuthority
) -> None:
    token = office.ledger.new_token(expires=LATER)
    _, csr = request_for()
    shield.faults.put("api", ["lost*1"])

    first = call(office, "POST", csr, token=token)
    second = call(office, "POST", csr, token=token)

    assert (first.status, first.headers["Retry-After"], second.status) == (503, "1", 200)
    assert active(shield) == [NAME]


def test_life_is_the_authoritys_and_not_what_the_device_asked_for(
    shield: Shield, office: RegistrationAuthority
) -> None:
    call(office, "POST", request_for()[1], token=office.ledger.new_token(expires=LATER))

    assert [issue.fields["validity_days"] for issue in shield.issued.all()] == [30]


def test_token_is_good_for_one_key_and_is_on_disk_as_a_hash(office: RegistrationAuthority, tmp_path: Path) -> None:
    token = office.ledger.new_token(expires=LATER)
    statuses = [call(office, "POST", request_for()[1], token=token).status for _ in range(2)]

    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and "office" in str(file))
    assert statuses == [200, 403]
    assert token.encode() not in written


def test_token_shown_by_two_devices_at_once_is_good_for_one(office: RegistrationAuthority) -> None:
    token = office.ledger.new_token(expires=LATER)
    requests = [request_for(f"sensor-{number}.devices.example.com")[1] for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda csr: call(office, "POST", csr, token=token).status, requests))

    assert sorted(statuses) == [200] + [403] * 7


def test_same_key_from_two_connections_at_once_gets_one_certificate(
    shield: Shield, office: RegistrationAuthority
) -> None:
    token = office.ledger.new_token(expires=LATER)
    _, csr = request_for()
    shield.faults.put("api", ["slow:0.2"])  # all of them ask before the first has an answer

    with ThreadPoolExecutor(8) as pool:
        bodies = {call_.body for call_ in pool.map(lambda _: call(office, "POST", csr, token=token), range(8))}

    assert len(bodies) == len(active(shield)) == 1


@pytest.mark.parametrize("token", ["", "x" * 40])
def test_without_a_known_token_nothing_is_issued(shield: Shield, office: RegistrationAuthority, token: str) -> None:
    assert call(office, "POST", request_for()[1], token=token).status in {400, 403}
    assert active(shield) == []


def test_expired_token_is_refused_and_says_so(office: RegistrationAuthority) -> None:
    got = call(office, "POST", request_for()[1], token=office.ledger.new_token(expires=1.0))

    assert (got.status, b"expired" in got.body) == (403, True)


def test_name_in_use_is_refused_unless_the_token_is_for_it(office: RegistrationAuthority) -> None:
    tokens = [office.ledger.new_token(expires=LATER, name=name) for name in ("", "", NAME)]
    statuses = [call(office, "POST", request_for()[1], token=token).status for token in tokens]

    assert statuses == [200, 400, 200]


def test_named_token_is_good_for_that_name_only(office: RegistrationAuthority) -> None:
    token = office.ledger.new_token(expires=LATER, name="ios-bootstrap")
    statuses = [call(office, "POST", request_for(name)[1], token=token).status for name in (NAME, "ios-bootstrap")]

    assert statuses == [400, 200]


def test_refusal_reaches_the_real_enrollment_as_one(office: RegistrationAuthority, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no name for a device here"):
        Device(tmp_path, "shield.example.com", office.where).enroll(office.ledger.new_token(expires=LATER))


def test_zone_that_is_down_is_a_reason_to_try_later(
    shield: Shield, office: RegistrationAuthority, tmp_path: Path
) -> None:
    shield.faults.put("api", ["500*1"])
    device, token = Device(tmp_path, NAME, office.where), office.ledger.new_token(expires=LATER)

    with pytest.raises(TryLater):
        device.enroll(token)
    assert device.enroll(token).state == "enrolled"


def test_body_of_a_megabyte_is_refused_before_it_is_sent(office: RegistrationAuthority) -> None:
    to = connection(Path(office.where["ca_file"]), office.port)
    to.putrequest("POST", PATH)
    to.putheader("Content-Length", str(1 << 20))
    to.endheaders()

    assert to.getresponse().status == 413
    to.close()


def test_restart_knows_tokens_keys_and_certificates(
    make_office: Callable[..., RegistrationAuthority], tmp_path: Path
) -> None:
    first = make_office()
    token = first.ledger.new_token(expires=LATER)
    key, csr = request_for()
    before = call(first, "POST", csr, token=token)
    first.close()
    pair = put(tmp_path, "device", json.loads(before.body)["result"]["certificate"].encode(), key)

    second = make_office()

    assert call(second, "POST", csr, token=token).body == before.body
    assert call(second, "GET", shown=pair).status == 200


def test_two_processes_may_use_the_directory(office: RegistrationAuthority) -> None:
    other = Ledger(office.ledger.directory)
    token = other.new_token(expires=LATER)

    assert call(office, "POST", request_for()[1], token=token).status == 200


def test_own_authority_is_called_a_fleets_and_not_a_development_one(
    make_office: Callable[..., RegistrationAuthority],
) -> None:
    where = make_office(own=True).where
    name = x509.load_pem_x509_certificate(Path(where["ca_file"]).read_bytes()).subject.rfc4514_string()

    assert name == "CN=Fleet CA,O=sensor-agent fleet"
