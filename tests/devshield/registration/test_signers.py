"""The zone as a signer, where its list or its answer holds what cannot be read."""

import json
from pathlib import Path
from typing import Any

import pytest
from world.fleet import NAME, request_for
from world.identities import authority
from world.odd_requests import ODD_CERTIFICATE
from world.server import Server, answer, serving

from agent import pem
from agent.devshield.registration.issuance import Issuance
from agent.devshield.registration.ledger import Ledger
from agent.devshield.registration.records import Entry
from agent.devshield.registration.signers import ZoneSigner
from agent.devshield.zone_client import ZoneClient
from agent.errors import UnusableAnswer

ODD = {"id": "odd", "certificate": ODD_CERTIFICATE.decode()}


def says(result: Any) -> Any:
    """The zone's answer with that result."""
    return answer(200, json.dumps({"success": True, "errors": [], "messages": [], "result": result}).encode())


def signer(server: Server) -> ZoneSigner:
    return ZoneSigner(ZoneClient(url=server.url, zone_id="z", token="t", ca_file=str(authority().certificate_file)))


@pytest.mark.parametrize("other", [ODD, {"id": "x"}, {"id": "x", "certificate": "torn"}, None, 5])
def test_what_cannot_be_read_of_somebody_elses_is_passed_over(other: Any, tmp_path: Path) -> None:
    _, csr = request_for()
    own = {"id": "own", "certificate": authority().sign(csr).decode()}
    with serving(tmp_path, says([other, own])) as server:
        found = signer(server).find(pem.public_key_sha256(csr))

    assert found is not None
    assert found.issuer_id == "own"


def test_list_that_is_none_is_no_list_that_never_ends(tmp_path: Path) -> None:
    with serving(tmp_path, says({"certificate": "x"})) as server, pytest.raises(UnusableAnswer, match="no list"):
        signer(server).find("00" * 32)


@pytest.mark.parametrize("result", [ODD, {"id": "x", "certificate": "torn"}])
def test_answer_that_cannot_be_read_is_the_signers_mistake(result: Any, tmp_path: Path) -> None:
    _, csr = request_for()
    key, ledger = pem.public_key_sha256(csr), Ledger(tmp_path)
    ledger.add(Entry(key, NAME, "admitted", csr.decode(), 0.0))
    with serving(tmp_path, says(result)) as server, pytest.raises(UnusableAnswer, match="cannot be read"):
        Issuance(ledger, signer(server), days=30, trust=lambda _: None).issued(key)

    assert [entry.state for entry in ledger.entries()] == ["asked"]
