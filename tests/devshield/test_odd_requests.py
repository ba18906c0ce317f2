"""Signing requests of every odd kind: each is signed or refused, with the oldest cryptography as with the newest."""

import time
from pathlib import Path

import pytest
from world.odd_requests import NAME, odd_requests

from agent.devshield.authority import Authority
from agent.devshield.csr import signable
from agent.devshield.issued import Issued
from agent.devshield.registration.policy import NotAllowed, examine

REQUESTS = odd_requests()
BROKEN = ("torn at", "torn alternatives", "name of type", "too ", "zeros", "no bytes", "large", "not ASCII", "half")


@pytest.mark.parametrize("what", REQUESTS)
def test_zone_signs_what_can_be_read_and_nothing_else(what: str, tmp_path: Path, authority: Authority) -> None:
    readable = signable(REQUESTS[what])
    if readable:
        issue = Issued(tmp_path, authority, now=time.time).issue(REQUESTS[what].encode(), validity_days=1)
        assert issue.fields["certificate"].startswith("-----BEGIN CERTIFICATE-----\n")
    assert not (readable and what.startswith(BROKEN))


@pytest.mark.parametrize("what", [what for what in REQUESTS if REQUESTS[what].isascii()])
def test_authority_knows_the_applicant_or_refuses(what: str) -> None:
    try:
        name = examine(REQUESTS[what].encode()).name
    except NotAllowed:
        return
    assert name == NAME
    assert not what.startswith(BROKEN)
