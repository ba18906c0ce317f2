"""The agent's own issuer as the API's client, over TLS: what it gets, and what it makes of each fault."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from world.visitors import NAME

from agent import pem
from agent.devshield.certificates_api import ZONE_ID
from agent.devshield.shield import Shield
from agent.errors import AgentError, ConfigError, Refused, TryLater, UnusableAnswer
from agent.issuers.cloudflare import CloudflareIssuer

MakeIssuer = Callable[..., CloudflareIssuer]


@pytest.fixture
def make_issuer(shield: Shield) -> Iterator[MakeIssuer]:
    """An issuer with the zone's token, unless told otherwise."""
    with ExitStack() as undo:

        def make(*, zone_id: str = ZONE_ID, token: str = "") -> CloudflareIssuer:
            token = token or shield.tokens.zone_file.read_text().strip()
            issuer = CloudflareIssuer(
                url=shield.api_url, zone_id=zone_id, token=token, ca_file=str(shield.ca_file), wait=lambda _: None
            )
            undo.callback(issuer.close)  # urllib3 1.26 leaves its sockets to the garbage collector
            return issuer

        yield make


@pytest.fixture(scope="module")
def csr() -> bytes:
    return pem.signing_request(pem.new_key("p256"), name=NAME, subject={"O": "Example"})


def certificate_of(text: str, csr: bytes) -> bytes:
    """The certificate in the text, as enrollment would accept it."""
    certificate = pem.extract_certificate(text)
    assert pem.check_issued(certificate, request_pem=csr, now=datetime.now(UTC)) == []
    return certificate


def test_issue_gives_a_certificate_as_asked(make_issuer: MakeIssuer, csr: bytes) -> None:
    certificate_of(make_issuer().issue(csr, validity_days=30).certificate_text, csr)


def test_find_after_a_lost_answer_gives_the_certificate_that_was_issued(
    shield: Shield, make_issuer: MakeIssuer, csr: bytes
) -> None:
    issuer = make_issuer()
    shield.faults.put("api", ["lost*1"])
    with pytest.raises(TryLater):
        issuer.issue(csr, validity_days=30)
    found = issuer.find(csr)
    assert found is not None
    assert [issue.fields["id"] for issue in shield.issued.all()] == [found.issuer_id]
    certificate_of(found.certificate_text, csr)


def test_find_of_a_key_that_nobody_certified_is_none(make_issuer: MakeIssuer, csr: bytes) -> None:
    issuer = make_issuer()
    issuer.issue(csr, validity_days=30)
    assert issuer.find(pem.signing_request(pem.new_key("p256"), name=NAME, subject={})) is None


def test_find_looks_past_the_first_page(make_issuer: MakeIssuer, csr: bytes) -> None:
    issuer = make_issuer()
    first = issuer.issue(csr, validity_days=30)
    other = pem.signing_request(pem.new_key("p256"), name=NAME, subject={})
    for _ in range(60):
        issuer.issue(other, validity_days=30)
    found = issuer.find(csr)
    assert found is not None
    assert found.issuer_id == first.issuer_id


def test_one_time_token_issues_once_and_finds_after_a_lost_answer(
    shield: Shield, make_issuer: MakeIssuer, csr: bytes
) -> None:
    token = shield.tokens.new_one_time()
    issuer = make_issuer(zone_id="", token=token)
    shield.faults.put("api", ["lost*1"])
    with pytest.raises(TryLater):
        issuer.issue(csr, validity_days=30)
    found = issuer.find(csr)
    assert found is not None
    certificate_of(found.certificate_text, csr)
    with pytest.raises(Refused):
        issuer.issue(csr, validity_days=30)


@pytest.mark.parametrize(
    ("arguments", "error", "code"),
    [
        ({"token": "x" * 40}, Refused, "10000"),
        ({"token": "short"}, Refused, "6003"),
        ({"zone_id": "0" * 32}, ConfigError, "7003"),
    ],
)
def test_refusal_reaches_the_operator_with_its_code(
    make_issuer: MakeIssuer, csr: bytes, arguments: dict[str, str], error: type[AgentError], code: str
) -> None:
    with pytest.raises(error, match=code):
        make_issuer(**arguments).issue(csr, validity_days=30)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("429:5", TryLater),
        ("500", TryLater),
        ("502html", TryLater),
        ("drop", TryLater),
        ("badjson", UnusableAnswer),
        ("nocert", UnusableAnswer),
        ("quota", Refused),
    ],
)
def test_fault_ends_in_the_error_that_says_who_must_act(
    shield: Shield, make_issuer: MakeIssuer, csr: bytes, fault: str, error: type[AgentError]
) -> None:
    shield.faults.put("api", [f"{fault}*1"])
    issuer = make_issuer()
    with pytest.raises(error):
        issuer.issue(csr, validity_days=30)
    certificate_of(issuer.issue(csr, validity_days=30).certificate_text, csr)


def test_429_says_when_to_try_again(shield: Shield, make_issuer: MakeIssuer, csr: bytes) -> None:
    shield.faults.put("api", ["429:17"])
    with pytest.raises(TryLater) as caught:
        make_issuer().issue(csr, validity_days=30)
    assert caught.value.hint == "try again in 17 s"


def test_certificate_for_another_key_is_noticed(shield: Shield, make_issuer: MakeIssuer, csr: bytes) -> None:
    shield.faults.put("api", ["wrongkey"])
    issued = make_issuer().issue(csr, validity_days=30)
    with pytest.raises(UnusableAnswer, match="another key"):
        certificate_of(issued.certificate_text, csr)


def test_certificate_with_other_line_ends_is_as_good(shield: Shield, make_issuer: MakeIssuer, csr: bytes) -> None:
    shield.faults.put("api", ["crlf"])
    issued = make_issuer().issue(csr, validity_days=30)
    assert "\r\n" in issued.certificate_text
    certificate_of(issued.certificate_text, csr)
