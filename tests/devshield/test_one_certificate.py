"""One certificate in force for each device is the result, whatever the API does to the requests on the way."""

import json
from pathlib import Path

import pytest
from world.enrollee import Enrollee

from agent import pem
from agent.devshield.certificates_api import ZONE_ID
from agent.devshield.shield import Shield

FAULTS = (
    "lost",
    "drop",
    "429:1",
    "500",
    "503",
    "502html",
    "badjson",
    "wrongkey",
    "nocert",
    "crlf",
    "quota",
    "slow:0.1",
)


def device_of(shield: Shield, directory: Path) -> Enrollee:
    """A board that enrolls with the shield's zone."""
    device = Enrollee(directory)
    device.configure(url=shield.api_url, zone_id=ZONE_ID, shield=shield.url, ca_file=shield.ca_file)
    device.token.write_bytes(shield.tokens.zone_file.read_bytes())
    return device


@pytest.mark.parametrize("fault", FAULTS)
def test_one_certificate_is_in_force_after_a_fault_and_a_second_run(shield: Shield, tmp_path: Path, fault: str) -> None:
    device = device_of(shield, tmp_path / "device")
    shield.faults.put("api", [f"{fault}*1"])
    first = device("enroll")
    assert first.code in {0, 65, 75, 77}
    assert device("enroll").code == 0
    active = [issue for issue in shield.issued.all() if not issue.revoked]
    assert len(active) == 1
    assert device("identity", "verify").code == 0


def test_one_certificate_is_in_force_after_a_row_of_faults_within_the_waiting_time(
    shield: Shield, tmp_path: Path
) -> None:
    device = device_of(shield, tmp_path / "device")
    shield.faults.put("api", ["lost*1", "drop*2", "500*1"])
    assert device("enroll", "--wait", "60").code == 0
    assert len([issue for issue in shield.issued.all() if not issue.revoked]) == 1


def test_one_certificate_is_in_force_after_enrolling_again_by_force(shield: Shield, tmp_path: Path) -> None:
    device = device_of(shield, tmp_path / "device")
    for _ in range(3):
        assert device("enroll", "--force").code == 0
    active = [issue for issue in shield.issued.all() if not issue.revoked]
    request = pem.signing_request(device.key.read_bytes(), name="x", subject={})
    assert len(active) == 1
    assert pem.same_key(request, str(active[0].fields["csr"]).encode())
    meta = json.loads((device.store / "current" / "meta.json").read_text())
    assert meta["issuer_id"] == active[0].fields["id"]
