"""Cloudflare's own SDK as the client of the development shield's API: what it sends is understood, what it gets it parses."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest
from cloudflare import APIStatusError, Cloudflare, InternalServerError
from cloudflare.types.rulesets import BlockRuleParam, RulesetGetResponse
from pydantic import BaseModel
from world.visitors import NAME, put, visit

from agent import pem
from agent.certificate import parse
from agent.devshield.certificates_api import ZONE_ID
from agent.devshield.shield import Setup, Shield
from agent.devshield.zone_api import PHASE
from agent.devshield.zone_client import ZoneClient
from agent.devshield.zone_setup import look, put_in_force

RULE: Final[BlockRuleParam] = {
    "action": "block",
    "expression": '(http.host eq "shield.example.com")',
    "description": "mine",
}


@contextmanager
def client(shield: Shield) -> Iterator[Cloudflare]:
    """The SDK with the zone's token, and without its own retries."""
    context = ssl.create_default_context(cafile=str(shield.ca_file))
    with (
        httpx.Client(verify=context, trust_env=False) as http,
        Cloudflare(
            api_token=shield.tokens.zone_file.read_text().strip(),
            base_url=shield.api_url,
            http_client=http,
            max_retries=0,
            _strict_response_validation=True,
        ) as made,
    ):
        yield made


@pytest.fixture
def sdk(shield: Shield) -> Iterator[Cloudflare]:
    """For the shield of the test."""
    with client(shield) as made:
        yield made


@pytest.fixture(scope="module")
def csr() -> str:
    return pem.signing_request(pem.new_key("p256"), name=NAME, subject={"O": "Example"}).decode()


def test_certificate_is_created_got_and_listed(sdk: Cloudflare, csr: str) -> None:
    made = sdk.client_certificates.create(zone_id=ZONE_ID, csr=csr, validity_days=30)
    assert made is not None
    assert made.id is not None
    assert made.certificate is not None
    got = sdk.client_certificates.get(made.id, zone_id=ZONE_ID)
    listed = list(sdk.client_certificates.list(zone_id=ZONE_ID))

    assert parse(made.certificate.encode()).name == made.common_name == NAME
    assert got == made
    assert [each.to_dict() for each in listed] == [made.to_dict()]


def test_list_is_walked_page_by_page(sdk: Cloudflare, csr: str) -> None:
    made = {sdk.client_certificates.create(zone_id=ZONE_ID, csr=csr, validity_days=30).id for _ in range(7)}  # type: ignore[union-attr]

    assert {each.id for each in sdk.client_certificates.list(zone_id=ZONE_ID, per_page=5, status="active")} == made


def test_certificate_is_deleted_and_reactivated(sdk: Cloudflare, csr: str) -> None:
    made = sdk.client_certificates.create(zone_id=ZONE_ID, csr=csr, validity_days=30)
    assert made is not None
    assert made.id is not None
    deleted = sdk.client_certificates.delete(made.id, zone_id=ZONE_ID)
    again = sdk.client_certificates.edit(made.id, zone_id=ZONE_ID, reactivate=True)

    assert deleted is not None
    assert again is not None
    assert (deleted.status, again.status) == ("pending_revocation", "pending_reactivation")


@pytest.mark.parametrize(
    ("status", "call"),
    [
        (404, lambda sdk: sdk.client_certificates.get("0" * 32, zone_id=ZONE_ID)),
        (404, lambda sdk: sdk.client_certificates.list(zone_id="0" * 32)),
        (400, lambda sdk: sdk.client_certificates.create(zone_id=ZONE_ID, csr="x", validity_days=30)),
        (403, lambda sdk: sdk.with_options(api_token="x" * 40).client_certificates.list(zone_id=ZONE_ID)),
        (404, lambda sdk: sdk.rulesets.phases.get(PHASE, zone_id=ZONE_ID)),
    ],
)
def test_refusal_is_the_sdks_own_error(sdk: Cloudflare, status: int, call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(APIStatusError) as caught:
        call(sdk)
    assert caught.value.status_code == status
    assert caught.value.errors


def test_sdk_that_tries_again_after_a_lost_answer_has_two_certificates(
    shield: Shield, sdk: Cloudflare, csr: str
) -> None:
    # why the agent looks before it asks again
    shield.faults.put("api", ["lost*1"])
    sdk.with_options(max_retries=2).client_certificates.create(zone_id=ZONE_ID, csr=csr, validity_days=30)

    assert len(shield.issued.all()) == 2


def test_server_error_is_the_sdks_own(shield: Shield, sdk: Cloudflare) -> None:
    shield.faults.put("api", ["502html*1"])
    with pytest.raises(InternalServerError):
        sdk.client_certificates.list(zone_id=ZONE_ID)


def test_hosts_are_replaced_as_a_list(sdk: Cloudflare) -> None:
    hosts = sdk.certificate_authorities.hostname_associations
    hosts.update(zone_id=ZONE_ID, hostnames=["a.example.com", "b.example.com"])
    hosts.update(zone_id=ZONE_ID, hostnames=["c.example.com"])

    assert hosts.get(zone_id=ZONE_ID).hostnames == ["c.example.com"]  # type: ignore[union-attr]


def parsed(ruleset: object) -> RulesetGetResponse:
    """The SDK's own model of it: version 5.9 hands out a dict for all but the phase."""
    return RulesetGetResponse.model_validate(ruleset.model_dump() if isinstance(ruleset, BaseModel) else ruleset)


def test_rules_are_created_edited_and_deleted(sdk: Cloudflare) -> None:
    made = parsed(sdk.rulesets.create(zone_id=ZONE_ID, name="default", kind="zone", phase=PHASE, rules=[RULE]))
    grown = parsed(
        sdk.rulesets.rules.create(made.id, zone_id=ZONE_ID, action="block", expression="false", position={"index": 1})
    )
    first = str(grown.rules[0].id)
    edited = parsed(
        sdk.rulesets.rules.edit(
            first, ruleset_id=made.id, zone_id=ZONE_ID, action="block", expression="true", enabled=False
        )
    )
    left = parsed(sdk.rulesets.rules.delete(first, ruleset_id=made.id, zone_id=ZONE_ID))

    assert [rule.expression for rule in grown.rules] == ["false", RULE["expression"]]
    assert (edited.rules[0].id, edited.rules[0].expression, edited.rules[0].enabled) == (first, "true", False)
    assert [rule.description for rule in left.rules] == ["mine"]
    assert parsed(sdk.rulesets.phases.get(PHASE, zone_id=ZONE_ID)) == left


def test_what_the_setup_command_leaves_is_what_the_sdk_sees(shield: Shield, sdk: Cloudflare) -> None:
    token = shield.tokens.zone_file.read_text().strip()
    zone = ZoneClient(url=shield.api_url, zone_id=ZONE_ID, token=token, ca_file=str(shield.ca_file))
    sdk.certificate_authorities.hostname_associations.update(zone_id=ZONE_ID, hostnames=["api.example.com"])
    put_in_force(zone, look(zone, "shield.example.com"))
    [rule] = parsed(sdk.rulesets.phases.get(PHASE, zone_id=ZONE_ID)).rules
    hosts = sdk.certificate_authorities.hostname_associations.get(zone_id=ZONE_ID)

    assert hosts is not None
    assert hosts.hostnames == ["api.example.com", "shield.example.com"]
    assert (rule.action, rule.enabled, "cert_revoked" in str(rule.expression)) == ("block", True, True)


def test_certificate_of_the_sdk_gets_in_until_the_sdk_deletes_it(home: Path, tmp_path: Path) -> None:
    now = [1_795_000_000.0]
    key = pem.new_key("p256")
    csr = pem.signing_request(key, name=NAME, subject={}).decode()
    with Shield(Setup(home, rule="strict"), now=lambda: now[0]) as shield, client(shield) as sdk:
        made = sdk.client_certificates.create(zone_id=ZONE_ID, csr=csr, validity_days=30)
        assert made is not None
        shown = put(tmp_path, "of-the-sdk", str(made.certificate).encode(), key)
        now[0] += 2
        before = visit(shield, shown).status
        sdk.client_certificates.delete(str(made.id), zone_id=ZONE_ID)
        now[0] += 2

        assert (before, visit(shield, shown).status) == (201, 403)
