"""`shield setup` against the zone's API of a development shield: what it changes, what it leaves, what it notices."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.devshield.authority import Authority
from agent.devshield.certificates_api import ZONE_ID
from agent.devshield.shield import Setup, Shield
from agent.devshield.zone_client import ZoneClient
from agent.devshield.zone_probe import refused
from agent.devshield.zone_setup import ENTRY, HOSTS, PHASE, look, plan, put_in_force, wanted
from agent.errors import ConfigError, Refused, TryLater, UnusableAnswer

HOST = "shield.example.com"
OTHERS: list[dict[str, Any]] = [
    {"description": "theirs", "expression": "ip.src eq 192.0.2.1", "action": "block", "enabled": True},
    {"description": "staff", "expression": 'http.host eq "www.example.com"', "action": "skip", "enabled": True},
]


@pytest.fixture
def zone(shield: Shield) -> Iterator[ZoneClient]:
    """The zone as an operator's tools see it."""
    token = shield.tokens.zone_file.read_text().strip()
    return ZoneClient(url=shield.api_url, zone_id=ZONE_ID, token=token, ca_file=str(shield.ca_file))  # type: ignore[return-value]


def rules(zone: ZoneClient) -> list[tuple[str, str]]:
    """Description and expression of each."""
    return [(rule.get("description", ""), rule["expression"]) for rule in zone.call("GET", ENTRY)["rules"]]


def run(shield: Shield, *words: str) -> "subprocess.CompletedProcess[str]":
    """The command, for this shield's zone and host."""
    command = [sys.executable, "-m", "agent", "shield", "setup", f"--host={HOST}", f"--zone={ZONE_ID}", "--wait=0"]
    command += [f"--token-file={shield.tokens.zone_file}", f"--api={shield.api_url}", f"--ca={shield.ca_file}"]
    return subprocess.run(
        [*command, f"--url={shield.url}", *words], capture_output=True, text=True, check=False, timeout=30
    )


def test_empty_zone_gets_the_host_and_the_rule(zone: ZoneClient) -> None:
    put_in_force(zone, look(zone, HOST))

    assert zone.call("GET", HOSTS)["hostnames"] == [HOST]
    assert rules(zone) == [(wanted(HOST)["description"], wanted(HOST)["expression"])]


def test_rule_blocks_what_is_not_verified_and_what_is_revoked() -> None:
    rule = wanted(HOST)

    assert (rule["action"], rule["enabled"]) == ("block", True)
    assert rule["expression"] == (
        '(http.host eq "shield.example.com" and '
        "(not cf.tls_client_auth.cert_verified or cf.tls_client_auth.cert_revoked))"
    )


def test_other_hosts_and_rules_stay_and_the_new_rule_stands_first(zone: ZoneClient) -> None:
    zone.call("PUT", HOSTS, {"hostnames": ["api.example.com", "b.example.com"]})
    zone.call("PUT", ENTRY, {"rules": OTHERS})
    before = zone.call("GET", ENTRY)["rules"]

    put_in_force(zone, look(zone, HOST))

    assert zone.call("GET", HOSTS)["hostnames"] == ["api.example.com", "b.example.com", HOST]
    assert zone.call("GET", ENTRY)["rules"][1:] == before


def test_second_run_changes_nothing(zone: ZoneClient) -> None:
    put_in_force(zone, look(zone, HOST))
    before = zone.call("GET", ENTRY)

    again = look(zone, HOST)
    put_in_force(zone, again)

    assert not again.changes
    assert zone.call("GET", ENTRY) == before


@pytest.mark.parametrize(
    "spoiled",
    [{"enabled": False}, {"expression": "false"}, {"action": "log"}],
    ids=["disabled", "rewritten", "log only"],
)
def test_rule_that_was_changed_is_mended_in_its_place_and_not_made_twice(
    zone: ZoneClient, spoiled: dict[str, Any]
) -> None:
    page = {"response": {"status_code": 403, "content": "no", "content_type": "text/plain"}}
    zone.call("PUT", ENTRY, {"rules": [OTHERS[0], {**wanted(HOST), **spoiled, "action_parameters": page}, OTHERS[1]]})

    put_in_force(zone, look(zone, HOST))

    after = zone.call("GET", ENTRY)["rules"]
    assert [rule["description"] for rule in after] == ["theirs", wanted(HOST)["description"], "staff"]
    assert {key: after[1][key] for key in wanted(HOST)} == wanted(HOST)
    assert after[1]["action_parameters"] == page


def test_each_host_has_a_rule_of_its_own(zone: ZoneClient) -> None:
    for host in (HOST, "second.example.com", HOST):
        put_in_force(zone, look(zone, host))

    assert len(rules(zone)) == 2


def test_lost_answer_is_mended_by_running_it_again(shield: Shield, zone: ZoneClient) -> None:
    wish = look(zone, HOST)
    shield.faults.put("api", ["lost*1"])
    with pytest.raises(TryLater):
        put_in_force(zone, wish)

    put_in_force(zone, look(zone, HOST))

    assert (len(rules(zone)), zone.call("GET", HOSTS)["hostnames"]) == (1, [HOST])


def test_plan_of_a_zone_whose_hosts_are_null_is_a_plan() -> None:
    assert plan(HOST, [], {"id": "1", "rules": None}).change == "create"


def test_token_without_the_right_is_refused_with_the_right_it_lacks(shield: Shield) -> None:
    client = ZoneClient(url=shield.api_url, zone_id=ZONE_ID, token="x" * 40, ca_file=str(shield.ca_file))
    with pytest.raises(Refused, match="10000") as caught:
        look(client, HOST)
    assert "Zone WAF: Edit" in caught.value.hint


def test_wrong_zone_is_a_mistake_of_the_operator(shield: Shield) -> None:
    token = shield.tokens.zone_file.read_text().strip()
    with pytest.raises(ConfigError, match="7003"):
        look(ZoneClient(url=shield.api_url, zone_id="0" * 32, token=token, ca_file=str(shield.ca_file)), HOST)


def test_dry_run_shows_the_difference_and_changes_nothing(shield: Shield, zone: ZoneClient) -> None:
    zone.call("PUT", HOSTS, {"hostnames": ["api.example.com"]})

    done = run(shield, "--dry-run")

    assert done.stdout.splitlines() == [
        "hosts     api.example.com",
        f"hosts   + {HOST}",
        f"rule    + block: {wanted(HOST)['expression']}",
    ]
    assert (done.returncode, zone.call("GET", HOSTS)["hostnames"]) == (0, ["api.example.com"])


def test_command_sets_up_and_sees_that_nobody_gets_in_without_a_certificate(shield: Shield) -> None:
    first = json.loads(run(shield, "--json").stdout)
    second = json.loads(run(shield, "--json").stdout)

    assert (first["changed"], first["rule"]["change"], first["probe"]) == (True, "create", "HTTP 403")
    assert (second["changed"], second["rule"]["change"], second["probe"]) == (False, "none", "HTTP 403")


def test_host_that_lets_anybody_in_is_noticed(shield: Shield) -> None:
    # the API's own port asks for no certificate
    done = run(shield, f"--url={shield.api_url}")

    assert (done.returncode, "nothing is protected" in done.stderr) == (78, True)


def test_probe_waits_until_the_rule_has_reached_the_edge(shield: Shield) -> None:
    shield.faults.put("shield", ["302*2"])
    waited: list[float] = []

    says = refused(shield.url, ca_file=str(shield.ca_file), seconds=60, wait=waited.append)

    assert (says, waited) == ("HTTP 403", [2.0, 2.0])


def test_probe_waits_until_a_host_that_was_just_made_answers(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    opened: list[Shield] = []

    def deploy(_: float) -> None:
        opened.append(Shield(Setup(home, rule="strict", port=port)))

    says = refused(f"https://127.0.0.1:{port}/temps", ca_file=str(home / "ca.pem"), seconds=60, wait=deploy)
    opened[0].close()

    assert (says, len(opened)) == ("HTTP 403", 1)


def test_probe_waits_for_the_certificate_of_a_host_that_was_just_made(shield: Shield, tmp_path: Path) -> None:
    other, now = Authority.create(tmp_path / "other"), 0.0

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    with pytest.raises(ConfigError, match="does not verify"):
        refused(shield.url, ca_file=str(other.certificate_file), seconds=10, monotonic=lambda: now, wait=wait)

    assert now == 10


def test_host_that_does_not_answer_is_told_apart_from_the_zone_that_is_set(shield: Shield, zone: ZoneClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = run(shield, f"--url=https://127.0.0.1:{port}/temps")

    assert done.returncode == 75
    assert "the zone is set" in done.stderr
    assert "wrangler deploy" in done.stderr
    assert not look(zone, HOST).changes


class Odd(ZoneClient):
    """A zone whose API answers a GET with these results."""

    def __init__(self, results: dict[str, Any]) -> None:
        super().__init__(url="https://api.example.com", zone_id=ZONE_ID, token="t")
        self.results = results

    def call(self, method: str, path: str, body: object = None, **_: Any) -> Any:
        assert (method, body) == ("GET", None)
        return self.results[path]


WITHOUT_RULES = {"id": "1", "rules": []}
OWN_WITHOUT_ID = {"id": "1", "rules": [{**wanted(HOST), "enabled": False}]}


@pytest.mark.parametrize("hosts", [None, {}, [], "x", {"hostnames": "x"}, {"hostnames": [5]}])
def test_hosts_that_are_no_list_are_an_unusable_answer(hosts: object) -> None:
    with pytest.raises(UnusableAnswer, match=HOSTS):
        look(Odd({HOSTS: hosts, ENTRY: WITHOUT_RULES}), HOST)


@pytest.mark.parametrize(
    "ruleset", [None, {}, [], {"id": 5}, {"id": "1", "rules": 5}, {"id": "1", "rules": [5]}, OWN_WITHOUT_ID]
)
def test_ruleset_that_is_none_is_an_unusable_answer(ruleset: object) -> None:
    with pytest.raises(UnusableAnswer, match=ENTRY):
        look(Odd({HOSTS: {"hostnames": None}, ENTRY: ruleset}), HOST)


@pytest.mark.parametrize(
    "api", ["http://127.0.0.1:1/client/v4", "ftp://api.example.com", "api.example.com", "https://"]
)
def test_token_goes_over_https_only(shield: Shield, api: str) -> None:
    done = run(shield, f"--api={api}")

    assert done.returncode == 78
    assert "must be an https:// URL" in done.stderr


def test_phase_is_the_custom_firewalls() -> None:
    assert PHASE in ENTRY


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", HOSTS, {"hostnames": "x"}, 400),
        ("PUT", HOSTS, {"hostnames": ["not a host"]}, 400),
        ("DELETE", HOSTS, None, 405),
        ("PUT", ENTRY, None, 400),
        ("PUT", ENTRY, {"name": {}}, 400),
        ("PUT", ENTRY, {"rules": [5]}, 400),
        ("PUT", ENTRY, {"rules": 5}, 400),
        ("POST", "/rulesets", {"phase": PHASE}, 400),
        ("POST", "/rulesets", {"phase": PHASE, "kind": "zone", "name": None}, 400),
        ("POST", f"/rulesets/{'0' * 32}/rules", {}, 404),
    ],
)
def test_api_refuses_what_makes_no_sense(zone: ZoneClient, method: str, path: str, body: object, status: int) -> None:
    with pytest.raises((ConfigError, Refused), match=f"HTTP {status}"):
        zone.call(method, path, body)


@pytest.mark.parametrize("position", [5, {"index": "x"}, {"index": 0}, {"index": 99}, {"index": True}])
def test_position_that_is_none_is_refused(zone: ZoneClient, position: object) -> None:
    put_in_force(zone, look(zone, HOST))
    ruleset = zone.call("GET", ENTRY)["id"]

    with pytest.raises(Refused, match="position"):
        zone.call("POST", f"/rulesets/{ruleset}/rules", {**OTHERS[0], "position": position})
