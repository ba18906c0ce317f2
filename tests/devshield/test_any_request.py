"""Whatever a request says, each of the ports answers it below 500 and goes on; and nobody ever sees what is another's.

The tutorial's Worker answers 500 to what is no JSON: those are its own, with the exception's name in front.
"""

import json
import os
import string
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from world.fleet import request_for

from agent.devshield.api_port import ApiPort
from agent.devshield.authority import Authority
from agent.devshield.certificates_api import ZONE_ID, CertificatesApi
from agent.devshield.edge import SUCCESS, Visitor
from agent.devshield.exchange import Request
from agent.devshield.extended_api import ExtendedApi
from agent.devshield.faults import Faults
from agent.devshield.issued import Issued
from agent.devshield.known_keys import KnownKeys
from agent.devshield.readings import Readings
from agent.devshield.registration.desk import Desk
from agent.devshield.registration.ledger import Ledger
from agent.devshield.registration.policy import Policy
from agent.devshield.registration.signers import CaSigner
from agent.devshield.request_log import RequestLog
from agent.devshield.shield_port import ShieldPort
from agent.devshield.tokens import Tokens
from agent.devshield.zone_api import PHASE, ZoneApi
from agent.devshield.zone_state import ZoneState

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "250"))
Answer = Callable[[Request], int | None]
TIME = "2026-11-23T09:14:22Z"
ZONE = f"/client/v4/zones/{ZONE_ID}"
CSR = request_for()[1].decode()
THROWN = (b"SyntaxError: ", b"TypeError: ", b"RangeError: ")
WHO = ("11" * 32, "22" * 32, "33" * 32)

WORDS: st.SearchStrategy[Any] = st.sampled_from(
    [
        0,
        "0",
        TIME,
        "2026-01-01T00:00:00+99:00",
        "9999-12-31T24:00:00Z",
        10**400,
        1e308,
        "�",
        CSR,
        CSR[:200],
        CSR + "é",
        30,
        5475,
        0.5,
        True,
        PHASE,
        "zone",
        "block",
        {"index": 1},
        ["a.example.com"],
        [503],
        ["429:1"],
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=6) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = ["temperature", "time", "sensor", "key", "csr", "validity_days", "hostnames", "rules", "action", "expression"]
NAMES += ["position", "phase", "kind", "name", "reactivate", "shield", "api", "version", "id"]
OBJECTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)
GOOD_ONES: list[Any] = [
    {"temperature": "1", "time": TIME},
    [{"temperature": "1", "time": TIME, "key": "k-1"}],
    {"csr": CSR, "validity_days": 30},
    {"hostnames": ["a.example.com"]},
    {"action": "block", "expression": "true", "description": "d"},
    {"rules": [{"action": "block", "expression": "true"}], "name": "n", "kind": "zone", "phase": PHASE},
]
BODIES = st.binary(max_size=30) | (OBJECTS | st.lists(OBJECTS, max_size=3) | VALUES | st.sampled_from(GOOD_ONES)).map(
    lambda value: json.dumps(value).encode()
)
PATHS = st.sampled_from(
    [
        "/",
        "/temps",
        "/sensors",
        "/temps?limit=5&sensor=x",
        "http://[",
        "http://[/temps",
        "//",
        "*",
        "/\x00",
        "/é?%ff",
        f"{ZONE}/client_certificates",
        f"{ZONE}/client_certificates?page=0&per_page=x",
        f"{ZONE}/rulesets",
        f"{ZONE}/certificate_authorities/hostname_associations",
        f"{ZONE}/rulesets/phases/{PHASE}/entrypoint",
        f"{ZONE}/rulesets/{'0' * 32}/rules",
        f"{ZONE}/client_certificates/x",
        "/client/v4/client_certificates",
        "/__fault",
        "/__token",
    ]
) | st.text(string.printable, max_size=20).map(lambda text: f"/temps?{text}")
METHODS = st.sampled_from(["GET", "POST", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "X"])
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-encoding": st.sampled_from(["gzip", "identity", "br", "é"]),
        "idempotency-key": st.sampled_from(['"k-1"', '"', "x", f'"{"x" * 300}"']),
        "x-auth-key": st.just("x"),
        "authorization": st.sampled_from(
            ["Bearer TOKEN", "Bearer TOKEN", "Bearer x", "é", "Basic eDp5", "Bearer DEVICE"]
        ),
    },
)


class Ports:
    """All that answers, over one directory; `tokens` takes the place of the words TOKEN and DEVICE."""

    def __init__(self, directory: Path) -> None:
        Authority.create(directory / "ca")
        authority = Authority.open(directory / "ca")
        self.tokens = Tokens(directory)
        issued = Issued(directory / "certificates", authority, now=time.time)
        readings = Readings(directory / "kv", monotonic=time.monotonic)
        keys = KnownKeys(directory / "keys")
        self.extended = ExtendedApi(readings, keys, directory / "readers.json")
        stop = threading.Event()
        ledger = Ledger(directory / "office")
        self.device = ledger.new_token(expires=4e9)

        def front(extended: ExtendedApi | None) -> ShieldPort:
            log = RequestLog(directory / "requests.jsonl")
            return ShieldPort(
                rule="strict", issued=issued, readings=readings, requests=log, faults=Faults(), stop=stop, now=time.time,
                extended=extended,
            )  # fmt: skip

        zone = ZoneApi(
            CertificatesApi(issued, self.tokens, now=time.time), ZoneState(directory, now=time.time), self.tokens
        )
        self.api = ApiPort(api=zone, authority=authority, tokens=self.tokens, faults=Faults(), stop=stop)
        self.tutorial, self.more = front(None), front(self.extended)
        self.desk = Desk(
            policy=Policy(("sensor-*.devices.example.com",)), ledger=ledger, signer=CaSigner(authority), approve=False,
            retry_seconds=1, approval_seconds=1, now=time.time, trust=lambda _: None,
        )  # fmt: skip
        self.zone_token = self.tokens.zone_file.read_text().strip()

    def shown(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers with real tokens."""
        texts = {"TOKEN": self.zone_token, "DEVICE": self.device}
        return {name: " ".join(texts.get(word, word) for word in value.split(" ")) for name, value in headers.items()}


@pytest.fixture(scope="module")
def ports() -> Any:
    """One for all examples: what one leaves behind is there for the next."""
    with TemporaryDirectory() as scratch:
        yield Ports(Path(scratch))


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(METHODS, PATHS, HEADERS, BODIES)
@example("POST", "/temps", {}, b"[" * 100_000)
@example("POST", "/temps", {}, b'{"temperature":"1","time":"x","x":' + b"[" * 900 + b"]" * 900 + b"}")
@example("PUT", f"{ZONE}/rulesets/phases/{PHASE}/entrypoint", {"authorization": "Bearer TOKEN"}, b"[" * 100_000)
@example(
    "PUT",
    f"{ZONE}/rulesets/phases/{PHASE}/entrypoint",
    {"authorization": "Bearer TOKEN"},
    b'{"x":' + b"[" * 900 + b"]" * 900 + b"}",
)
@example("POST", "/client/v4/client_certificates", {"authorization": "Bearer DEVICE"}, b"[" * 30_000)
@example("POST", "/__fault", {}, b'{"shield":[503]}')
@example("POST", "/__fault", {}, b'{"shield":["slow:99999999999999999999"]}')
@example("POST", "/temps", {}, b'{"temperature":"1","time":"2026-01-01T00:00:00+99:00"}')
@example("GET", "http://[", {"authorization": "Bearer TOKEN"}, b"")
def test_any_request_is_answered_below_500(
    ports: Ports, method: str, target: str, headers: dict[str, str], body: bytes
) -> None:
    request = Request(method, target, ports.shown(headers), body, "127.0.0.1", Visitor(SUCCESS, WHO[0]))
    if target == "/__fault":
        ports.api._faults.put("api", [])
    for port in (ports.more, ports.api):
        reply = port(request).reply
        ports.api._faults.put("api", [])
        assert reply is None or reply.status < 500
    assert ports.desk.answer(request).status < 500
    reply = ports.tutorial(request).reply
    assert reply is not None
    assert reply.status < 500 or (method == "POST" and reply.body.startswith(THROWN))
    good = Request("GET", "/temps", {}, b"", "127.0.0.1", Visitor(SUCCESS, WHO[0]))
    assert [port(good).reply.status for port in (ports.tutorial, ports.more)] == [200, 200]  # type: ignore[union-attr]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(range(3)), st.sampled_from(["one", "batch", "list", "range", "sensors"]), st.integers(0, 4)
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=max(EXAMPLES // 8, 20), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_nobody_ever_sees_what_is_anothers_whatever_the_keys_and_names(steps: list[tuple[int, str, int]]) -> None:
    """Keys and sensors are the same for all on purpose; a temperature says whose it is."""
    kept: list[list[str]] = [[], [], []]
    used: list[set[tuple[str, str]]] = [set(), set(), set()]

    with TemporaryDirectory() as scratch:
        api = ExtendedApi(
            Readings(Path(scratch) / "kv", monotonic=lambda: 0.0), KnownKeys(Path(scratch) / "keys"), Path("/no")
        )

        def ask(who: int, method: str, target: str, body: Any = None, key: str = "") -> Any:
            headers = {"idempotency-key": f'"{key}"'} if key else {}
            said = Request(method, target, headers, json.dumps(body).encode(), "127.0.0.1", Visitor(SUCCESS, WHO[who]))
            return api.answer(said).reply

        for place, (who, what, number) in enumerate(steps):
            key = f"k-{number}"
            taken = {"temperature": f"{who}.{place % 3:03}", "time": TIME, "sensor": f"s-{number}"}
            if what in {"one", "batch"}:
                reply = (
                    ask(who, "POST", "/temps", taken, key)
                    if what == "one"
                    else ask(who, "POST", "/temps", [{**taken, "key": key}])
                )
                assert reply.status == {"one": 201, "batch": 207}[what]
                if (key, taken["temperature"]) not in used[who]:
                    kept[who].append(taken["temperature"])
                used[who].add((key, taken["temperature"]))
            elif what == "sensors":
                rows = json.loads(ask(who, "GET", "/sensors").body)["sensors"]
                assert {row["device"] for row in rows} <= {WHO[who]}
                assert sum(row["count"] for row in rows) == len(kept[who])
                assert all(row["latest"]["temperature"] in kept[who] for row in rows)
            else:
                query = "" if what == "list" else f"?sensor=s-{number}&limit=1000"
                listed = json.loads(ask(who, "GET", f"/temps{query}").body)
                assert {each["temperature"] for each in listed} <= set(kept[who])
        for who in range(3):
            listed = json.loads(ask(who, "GET", "/temps?limit=1000").body)
            assert sorted(each["temperature"] for each in listed) == sorted(kept[who])
