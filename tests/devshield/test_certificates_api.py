"""The certificates API without a socket: codes, fields, and the life of a certificate."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent import pem
from agent.certificate import parse
from agent.devshield.authority import Authority
from agent.devshield.certificates_api import ZONE_ID, CertificatesApi
from agent.devshield.issued import Issued
from agent.devshield.tokens import Tokens

NAME = "sensor-001.devices.example.com"
SUBJECT = {"C": "US", "ST": "Texas", "L": "Austin", "O": "Temperature Testers, Inc.", "OU": "Tech Operations"}
ZONE = f"/client/v4/zones/{ZONE_ID}/client_certificates"
FOR_DEVICES = "/client/v4/client_certificates"


@dataclass
class Desk:
    """The API over one directory, with a clock that passes when told."""

    home: Path
    authority: Authority
    now: float = 1_795_000_000.0
    api: CertificatesApi = field(init=False)
    tokens: Tokens = field(init=False)

    def __post_init__(self) -> None:
        self.reopen()

    def reopen(self) -> None:
        """As after a restart."""
        self.tokens = Tokens(self.home)
        issued = Issued(self.home / "certificates", self.authority, now=lambda: self.now)
        self.api = CertificatesApi(issued, self.tokens, now=lambda: self.now)

    def ask(
        self, method: str, target: str, body: object = None, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and envelope; with the zone's token unless other headers are given."""
        shown = {"authorization": f"Bearer {self.zone_token}"} if headers is None else headers
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        reply = self.api.answer(method, target, shown, raw)
        return reply.status, json.loads(reply.body)

    @property
    def zone_token(self) -> str:
        return self.tokens.zone_file.read_text().strip()

    def issue(self, csr: bytes) -> dict[str, Any]:
        """The result of a POST that went well."""
        status, envelope = self.ask("POST", ZONE, {"csr": csr.decode(), "validity_days": 30})
        assert (status, envelope["success"], envelope["errors"]) == (200, True, [])
        result: dict[str, Any] = envelope["result"]
        return result


@pytest.fixture
def desk(tmp_path: Path, authority: Authority) -> Desk:
    return Desk(tmp_path, authority)


@pytest.fixture(scope="module")
def csr() -> bytes:
    return pem.signing_request(pem.new_key("p256"), name=NAME, subject=SUBJECT)


def test_issue_answers_with_every_field_of_the_api(desk: Desk, csr: bytes) -> None:
    result = desk.issue(csr)
    assert set(result) == {
        *("id", "certificate_authority", "certificate", "csr", "ski", "serial_number", "signature", "common_name"),
        *("organization", "organizational_unit", "country", "state", "location", "expires_on", "issued_on"),
        *("fingerprint_sha256", "validity_days", "status"),
    }
    assert (result["common_name"], result["country"], result["state"]) == (NAME, "US", "Texas")
    assert (result["location"], result["organization"]) == ("Austin", "Temperature Testers, Inc.")
    assert (result["organizational_unit"], result["status"]) == ("Tech Operations", "active")


def test_issue_describes_the_certificate_that_it_sends(desk: Desk, csr: bytes) -> None:
    result = desk.issue(csr)
    says = parse(result["certificate"].encode())
    assert (says.name, says.serial, says.fingerprint_sha256) == (
        *(NAME, result["serial_number"]),
        result["fingerprint_sha256"],
    )
    assert (f"{says.not_before:%FT%TZ}", f"{says.not_after:%FT%TZ}") == (result["issued_on"], result["expires_on"])
    assert (says.not_after - says.not_before).days == 30


def test_issue_is_backdated_to_the_minute(desk: Desk, csr: bytes) -> None:
    assert desk.issue(csr)["issued_on"].endswith(":00Z")


def test_issue_echoes_the_request_with_other_line_ends(desk: Desk, csr: bytes) -> None:
    echoed = desk.issue(csr)["csr"]
    assert echoed == csr.decode().replace("\n", "\r\n")


def test_issue_of_the_same_request_is_another_certificate(desk: Desk, csr: bytes) -> None:
    one, other = desk.issue(csr), desk.issue(csr)
    assert one["ski"] == other["ski"]
    assert {one[key] == other[key] for key in ("id", "serial_number", "fingerprint_sha256")} == {False}


@pytest.mark.parametrize(
    ("headers", "status", "code", "below"),
    [
        ({}, 400, 9106, None),
        ({"authorization": "Basic abc"}, 400, 6003, 6111),
        ({"authorization": "Bearer short"}, 400, 6003, 6111),
        ({"x-auth-email": "a@example.com", "x-auth-key": "k" * 40}, 400, 6003, 6103),
        ({"authorization": "Bearer " + "x" * 40}, 403, 10000, None),
    ],
)
def test_request_without_the_token_is_refused(
    desk: Desk, headers: dict[str, str], status: int, code: int, below: int | None
) -> None:
    got, envelope = desk.ask("GET", ZONE, headers=headers)
    [error] = envelope["errors"]
    assert (got, envelope["success"], envelope["result"], error["code"]) == (status, False, None, code)
    assert error.get("error_chain", [{"code": None}])[0]["code"] == below


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "code"),
    [
        ("GET", "/client/v4/zones/nope/client_certificates", None, 404, 7003),
        ("GET", "/client/v4/elsewhere", None, 404, 7000),
        ("GET", f"{ZONE}/00000000-0000-0000-0000-000000000000", None, 404, 1415),
        ("DELETE", f"{ZONE}/00000000-0000-0000-0000-000000000000", None, 404, 1415),
        ("PUT", ZONE, {}, 405, 7001),
        ("POST", ZONE, b"{", 400, 6007),
        ("POST", ZONE, {"csr": "-----BEGIN", "validity_days": 30}, 400, 1400),
        ("POST", ZONE, {"csr": None, "validity_days": 30}, 400, 1400),
        ("POST", ZONE, {"csr": "", "validity_days": "30"}, 400, 1400),
        ("POST", ZONE, {"csr": "", "validity_days": True}, 400, 1400),
        ("GET", f"{ZONE}?status=gone", None, 400, 1400),
        ("GET", f"{ZONE}?page=0", None, 400, 1400),
    ],
)
def test_request_that_makes_no_sense_is_refused_with_its_code(
    desk: Desk, method: str, target: str, body: object, status: int, code: int
) -> None:
    got, envelope = desk.ask(method, target, body)
    assert (got, [error["code"] for error in envelope["errors"]]) == (status, [code])


def test_revocation_is_pending_then_done_and_can_be_taken_back(desk: Desk, csr: bytes) -> None:
    target = f"{ZONE}/{desk.issue(csr)['id']}"
    seen = [desk.ask("DELETE", target)[1]["result"]["status"]]
    desk.now += 2
    seen.append(desk.ask("GET", target)[1]["result"]["status"])
    seen.append(desk.ask("PATCH", target, {"reactivate": True})[1]["result"]["status"])
    desk.now += 2
    seen.append(desk.ask("GET", target)[1]["result"]["status"])
    assert seen == ["pending_revocation", "revoked", "pending_reactivation", "active"]


def test_revoking_twice_is_refused(desk: Desk, csr: bytes) -> None:
    target = f"{ZONE}/{desk.issue(csr)['id']}"
    desk.ask("DELETE", target)
    assert desk.ask("DELETE", target)[1]["errors"][0]["code"] == 1407


def test_list_filters_by_status_and_counts_pages(desk: Desk, csr: bytes) -> None:
    identifiers = [desk.issue(csr)["id"] for _ in range(5)]
    desk.ask("DELETE", f"{ZONE}/{identifiers[0]}")
    desk.now += 2
    pages = [desk.ask("GET", f"{ZONE}?status=active&page={page}&per_page=3")[1] for page in (1, 2)]
    assert [[result["id"] for result in page["result"]] for page in pages] == [
        *(identifiers[:1:-1], identifiers[1:2]),
    ]
    assert pages[1]["result_info"] == {"page": 2, "per_page": 3, "count": 1, "total_count": 4, "total_pages": 2}
    assert [result["id"] for result in desk.ask("GET", f"{ZONE}?status=revoked")[1]["result"]] == identifiers[:1]


def test_certificates_outlive_a_restart_in_their_order(desk: Desk, csr: bytes) -> None:
    identifiers = [desk.issue(csr)["id"] for _ in range(3)]
    desk.ask("DELETE", f"{ZONE}/{identifiers[0]}")
    desk.now += 2
    before = desk.ask("GET", ZONE)
    desk.reopen()
    assert desk.ask("GET", ZONE) == before


def test_one_time_token_buys_one_certificate_and_then_only_shows_it(desk: Desk, csr: bytes) -> None:
    desk.issue(csr)  # somebody else's
    headers = {"authorization": f"Bearer {desk.tokens.new_one_time()}"}
    wish = {"csr": csr.decode(), "validity_days": 30}
    status, envelope = desk.ask("POST", FOR_DEVICES, wish, headers=headers)
    again, refusal = desk.ask("POST", FOR_DEVICES, wish, headers=headers)
    _, listed = desk.ask("GET", FOR_DEVICES, headers=headers)
    assert (status, again, refusal["errors"][0]["code"]) == (200, 403, 10000)
    assert [result["id"] for result in listed["result"]] == [envelope["result"]["id"]]


def test_one_time_token_is_not_spent_by_a_request_that_cannot_be_signed(desk: Desk, csr: bytes) -> None:
    headers = {"authorization": f"Bearer {desk.tokens.new_one_time()}"}
    assert desk.ask("POST", FOR_DEVICES, {"csr": "x", "validity_days": 30}, headers=headers)[0] == 400
    assert desk.ask("POST", FOR_DEVICES, {"csr": csr.decode(), "validity_days": 30}, headers=headers)[0] == 200


def test_one_time_token_opens_no_zone(desk: Desk) -> None:
    headers = {"authorization": f"Bearer {desk.tokens.new_one_time()}"}
    assert desk.ask("GET", ZONE, headers=headers)[1]["errors"][0]["code"] == 10000


def test_zone_token_is_no_one_time_token(desk: Desk) -> None:
    assert desk.ask("GET", FOR_DEVICES)[1]["errors"][0]["code"] == 10000


def test_tokens_are_for_their_owner_only(desk: Desk) -> None:
    desk.tokens.new_one_time()
    modes = [file.stat().st_mode & 0o777 for file in (desk.tokens.zone_file, desk.tokens.one_time_file)]
    assert modes == [0o600, 0o600]
