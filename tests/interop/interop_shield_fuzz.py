"""Every route of the development shield, fuzzed by schemathesis: no fault, and nothing of another identity.

What somebody else left there before is in no answer, also where a request names it or says to be that one. The runs go
two at a time, each against a shield of its own; a test looks at what one of them has seen.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from interop.fuzzing import EXAMPLES, Exchange, fuzz, never_well, no_complaint, settings
from world.odd_requests import odd_requests
from world.visitors import Pair, ask, connection, pair

from agent.devshield.authority import Authority
from agent.devshield.certificates_api import PREFIX, ZONE_ID
from agent.devshield.issued import token_name
from agent.devshield.shield import Setup, Shield
from agent.devshield.zone_api import PHASE
from agent.devshield.zone_client import ZoneClient

CANARY = {"temperature": "-18.0625", "time": "2026-11-23T09:14:22Z", "sensor": "canary"}
OTHERS_ADDRESS = "127.0.0.2"
SAYS_TO_BE_OTHER = ("CF-Connecting-IP", "X-Forwarded-For", "X-Real-IP")
UNTOLD = ("positive_data_acceptance",)  # no description says what is in a PEM, or how far ahead a time may be
NO_401 = ("ignored_auth", "missing_required_header")  # Cloudflare answers 400 to a request that shows no token
THROWN = re.compile(rb"(SyntaxError|TypeError|RangeError): ")
DEVICES = f"{PREFIX}/client_certificates"
ZONES = f"{PREFIX}/zones"
Seen = tuple[list[Exchange], bytes]  # what went to and fro, and what of another one's is in no answer to a device
Run = Callable[[Path], Seen]


def identities(directory: Path) -> tuple[Pair, Pair]:
    """Two devices that a shield with this directory will know."""
    authority = Authority.create(directory)
    for name in ("one", "other"):
        (directory / name).mkdir()
    return pair(directory / "one", "p256", authority), pair(directory / "other", "p256", authority)


def as_other(shield: Shield, shown: Pair, source: str, body: bytes | None = None) -> Any:
    """What the other one gets that posts that body from there, or lists without one; whichever of both tells it apart."""
    to = connection(shield.ca_file, shield.port, shown, source=source)
    try:
        answer = ask(to, "POST" if body else "GET", body)
        return json.loads(answer.body) if answer.body else answer.status
    finally:
        to.close()


def front(shield: Shield, shown: Pair, directory: Path, description: str, *without: str) -> list[Exchange]:
    """The shield's first port, fuzzed by the device, which says to be elsewhere."""
    lies = [f"--header={name}: {OTHERS_ADDRESS}" for name in SAYS_TO_BE_OTHER]
    trust = [f"--tls-verify={shield.ca_file}", f"--request-cert={shown[0]}", f"--request-cert-key={shown[1]}"]
    without = (*UNTOLD, "negative_data_rejection", *without)
    seen = fuzz(directory, description, f"https://127.0.0.1:{shield.port}", *trust, *lies, without=without)
    assert statuses_for_nobody(shield, seen) == {403}
    return seen


def statuses_for_nobody(shield: Shield, seen: list[Exchange]) -> set[int]:
    """What the same requests get that come without a certificate."""
    to = connection(shield.ca_file, shield.port)
    statuses = set()
    for each in seen:
        to.request(each.method, each.path, body=each.sent, headers={"Content-Type": "application/json"})
        answer = to.getresponse()
        statuses.add(answer.status)
        answer.read()
    to.close()
    return statuses


def tutorial(directory: Path) -> Seen:
    """The other one is another address."""
    own, _ = identities(directory)
    with Shield(Setup(directory, rule="strict")) as shield:
        assert as_other(shield, own, OTHERS_ADDRESS, json.dumps(CANARY).encode()) == 201
        # its Worker answers 500 to what is no JSON, and takes any method
        seen = front(shield, own, directory / "run", "tutorial.yaml", "not_a_server_error", "unsupported_method")
        assert as_other(shield, own, OTHERS_ADDRESS) == [CANARY]
    return seen, b"canary"


def extended(directory: Path) -> Seen:
    """The other one is another certificate."""
    own, other = identities(directory)
    with Shield(Setup(directory, rule="strict", api="extended")) as shield:
        assert as_other(shield, other, "127.0.0.1", json.dumps(CANARY).encode()) == 201
        seen = front(shield, own, directory / "run", "openapi.yaml")
        assert as_other(shield, other, "127.0.0.1") == [CANARY]
    return seen, b"canary"


def zone(directory: Path) -> Seen:
    """The other one is another one-time token; the zone's own token sees everything."""
    requests = {what: text for what, text in odd_requests().items() if text.isascii()}
    good = requests["good"].encode()
    with Shield(Setup(directory)) as shield:
        token = shield.tokens.zone_file.read_text().strip()
        client = ZoneClient(url=shield.api_url, zone_id=ZONE_ID, token=token, ca_file=str(shield.ca_file))
        rules = [{"action": "block", "expression": "true"}] * 30
        ruleset = client.call("PUT", f"/rulesets/phases/{PHASE}/entrypoint", {"rules": rules})
        own = shield.tokens.new_one_time()
        owners = ("", token_name(own), "the other's")
        issued = [shield.issued.issue(good, validity_days=1, owner=owner) for owner in owners]
        words = {
            "body.csr": list(requests.values()),
            "path.id": [each.fields["id"] for each in issued],
            "path.ruleset": [ruleset["id"]],
            "path.rule": [each["id"] for each in ruleset["rules"]],
        }
        told = settings(words, {ZONES: token, DEVICES: own})
        # a PUT of the whole ruleset ends the rules that are known
        single = back(shield, directory / "rules", "--include-path-regex=/rules(/|$)", told)
        seen = single + back(shield, directory / "run", "--exclude-path-regex=^/__|/rules(/|$)", told)
        if EXAMPLES >= 100:  # fewer follow the same link each time
            seen += back(shield, directory / "links", "--exclude-path-regex=^/__", told, links=True)
        return seen, issued[-1].fields["fingerprint_sha256"].encode()


def switches(directory: Path) -> Seen:
    """By themselves, because faults answer anything."""
    with Shield(Setup(directory)) as shield:
        return back(shield, directory / "run", "--include-path-regex=^/__", settings({})), b""


def back(shield: Shield, directory: Path, which: str, told: str, *, links: bool = False) -> list[Exchange]:
    """Those routes of the shield's second port, fuzzed."""
    url, trust = f"https://127.0.0.1:{shield.api_port}", f"--tls-verify={shield.ca_file}"
    return fuzz(directory, "zone.yaml", url, trust, which, settings=told, without=(*UNTOLD, *NO_401), links=links)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Run, Future[Seen]]]:
    """All of them, begun, the longest first."""
    every = (zone, extended, tutorial, switches)
    with no_complaint(), ThreadPoolExecutor(2) as pool:
        yield {run: pool.submit(run, tmp_path_factory.mktemp(run.__name__)) for run in every}


@pytest.mark.parametrize("run", [zone, extended, tutorial, switches])
def test_every_answer_is_as_described_and_no_identity_sees_anothers(run: Run, runs: dict[Run, Future[Seen]]) -> None:
    exchanges, others = runs[run].result()
    devices = [each for each in exchanges if not each.path.startswith(ZONES)]
    print(f"{run.__name__}: {len(exchanges)} requests, {dict(Counter(each.status for each in exchanges))}")
    assert any(each.method == "GET" and each.status == 200 for each in devices) or run is switches
    assert not others or not [each for each in devices if others in each.body]


def test_tutorials_api_fails_only_as_its_worker_does(runs: dict[Run, Future[Seen]]) -> None:
    failed = [each for each in runs[tutorial].result()[0] if each.status >= 500]
    assert failed
    assert all(each.method == "POST" and THROWN.match(each.body) for each in failed)


def test_zones_api_answers_nobody_without_a_token(runs: dict[Run, Future[Seen]]) -> None:
    strangers = [each for each in runs[zone].result()[0] if "authorization" not in each.headers]
    assert len(strangers) >= 18
    assert {each.status for each in strangers} == {400}


@pytest.mark.parametrize(
    ("description", "by", "never"),
    [
        ("tutorial.yaml", [tutorial], set()),
        ("openapi.yaml", [extended], set()),
        ("zone.yaml", [zone, switches], {f"POST {ZONES}/{{zone}}/rulesets"}),  # there is one, and no second
    ],
)
def test_every_route_was_answered_well_at_least_once(
    description: str, by: list[Run], never: set[str], runs: dict[Run, Future[Seen]]
) -> None:
    assert never_well((each for run in by for each in runs[run].result()[0]), description) == never
