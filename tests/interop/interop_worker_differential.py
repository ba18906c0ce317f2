"""The development shield's extended API beside the Worker: the same requests, the same answers, so that neither drifts.

The Worker refuses more, and that is left out of what is generated: times before 2000 or more than a day ahead, times
without seconds, readings of more than 4096 characters, other paths and other methods than it has. Of a refusal the
status and the field are compared, not the words.
"""

import gzip
import http.client
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from interop import deployed
from interop.deployed import Deployed
from world.visitors import connection, pair

from agent.devshield.authority import Authority
from agent.devshield.shield import Setup, Shield

EXAMPLES = int(os.environ.get("INTEROP_EXAMPLES", "40"))
Answer = tuple[int, str | None, str | None, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Both:
    """The shield and the Worker."""

    shield: Shield
    worker: Deployed
    directory: Path
    devices: Iterator[int]

    def answers(self, requests: list[Asked]) -> tuple[list[Answer], list[Answer]]:
        """What both answer to the requests of a device that neither has seen."""
        number = next(self.devices)
        (self.directory / f"{number}").mkdir()
        shown = pair(self.directory / f"{number}", "p256", Authority.open(self.directory / "shield"))
        to = connection(self.shield.ca_file, self.shield.port, shown)
        try:
            here = [_ask(to, asked) for asked in requests]
        finally:
            to.close()
        there = [
            self.worker.ask(f"{number:064x}", each.method, each.path, each.body or None, each.headers)
            for each in requests
        ]
        return here, [
            _said(asked, each.status, each.headers, each.body) for asked, each in zip(requests, there, strict=True)
        ]


def _ask(to: http.client.HTTPConnection, asked: Asked) -> Answer:
    to.request(asked.method, asked.path, body=asked.body or None, headers=asked.headers)
    answer = to.getresponse()
    return _said(asked, answer.status, answer.headers, answer.read())


def _said(asked: Asked, status: int, headers: Message, body: bytes) -> Answer:
    """Status, announcement, and the body's value: of a refusal the field that it is about."""
    refused = "" if asked.method == "GET" else _field(body.decode())  # of two bad parameters either is named
    value: Any = json.loads(body) if status in {200, 207} else refused
    if status == 207:
        value = [(each["status"], _field(each.get("error", ""))) for each in value["results"]]
    if asked.path == "/sensors":
        for each in value["sensors"]:
            each.pop("device", None)  # the Worker's own
        return status, None, None, value  # only the path of the readings announces
    return status, headers["Sensor-Batch"], headers["Accept-Encoding"], value


def _field(words: str) -> str:
    """What a refusal of a reading is about; one of a body has no field in common."""
    named = words.partition(":")[0]
    return named if named in {"temperature", "time", "sensor", "reading", "key"} else ""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Both ends, started once."""
    directory = tmp_path_factory.mktemp("both")
    Authority.create(directory / "shield")
    with deployed.run(directory / "worker") as worker, Shield(Setup(directory / "shield", api="extended")) as shield:
        yield Both(shield, worker, directory, iter(range(1, 10**9)))


TIMES: st.SearchStrategy[object] = st.sampled_from(
    [
        *("2026-11-23T09:14:22Z", "2026-11-23T09:14:23Z", "2026-11-23T09:14:22.5Z", "2026-11-23T09:14:22+02:00"),
        *("2001-01-01T00:00:00Z", "2026-11-22T23:59:59-05:30"),
        *("", "yesterday-ish", "2026-11-23", "2026-02-30T00:00:00Z", "2026-11-23T09:14:60Z", 5, None, [], True),
    ]
)
TEMPERATURES: st.SearchStrategy[object] = st.one_of(
    st.sampled_from(["21.437", "0", "-0.5", "69.80000000000001", 0, 0.0, 21.5, -273.15, 10000, 1e300]),
    st.sampled_from(["", " 7", "0x10", "nan", "21,4", "-273.16", None, True, {}, [1]]),
    st.floats(-300, 11000).map(lambda value: round(value, 3)),
)
READINGS: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {"temperature": TEMPERATURES, "time": TIMES},
    optional={"sensor": st.sampled_from(["a", "b", "", None, 7, "x" * 201]), "seq": st.integers(0, 9)},
)
KEYS: st.SearchStrategy[object] = st.sampled_from(["a-1", "a-2", "a-3", "€", "", "x" * 201, 7, None])
ITEMS: st.SearchStrategy[object] = (
    st.builds(lambda reading, key: {**reading, "key": key}, READINGS, KEYS) | READINGS | st.sampled_from([None, 5, []])
)
BATCHES: st.SearchStrategy[object] = st.lists(ITEMS, max_size=6)
HEADERS: st.SearchStrategy[dict[str, str]] = st.sampled_from(['"a-1"', '"a-2"', "a-1", '""', '"a']).map(
    lambda key: {"Idempotency-Key": key}
) | st.just({})
QUERY_VALUES = {
    "sensor": st.sampled_from(["a", "b", ""]),
    "from": st.sampled_from(["2026-11-23T09:14:22Z", "2026-11-23T09:14:22%2B00:00", "2026-11-23T07:14:22Z", "x"]),
    "to": st.sampled_from(["2026-11-23T09:14:23Z", "2026-11-23T09:14:22.500Z", "", "2030-01-01T00:00:00Z"]),
    "limit": st.sampled_from(["1", "2", "1000", "0", "1001", "x", "-1", "01"]),
    "other": st.just("1"),
}
QUERIES = st.fixed_dictionaries({}, optional=QUERY_VALUES).map(
    lambda given: "?" * bool(given) + "&".join(f"{name}={value}" for name, value in given.items())
)


def sent(value: object, headers: dict[str, str], *, packed: bool) -> Asked:
    """A POST of the value."""
    body = json.dumps(value).encode()
    if packed:
        return Asked("POST", "/temps", gzip.compress(body), {**headers, "Content-Encoding": "gzip"})
    return Asked("POST", "/temps", body, headers)


POSTS = st.builds(sent, READINGS | BATCHES, HEADERS, packed=st.booleans())
ODD = st.builds(Asked, st.just("POST"), st.just("/temps"), st.binary(min_size=1, max_size=20), HEADERS)
GETS = st.builds(Asked, st.just("GET"), QUERIES.map(lambda query: f"/temps{query}") | st.just("/sensors"))
PLAIN = '{"temperature":"21.5","time":"2026-11-23T09:14:22Z"}'


def more(tail: str, **headers: str) -> tuple[bytes, dict[str, str]]:
    """A reading with something behind it, and the headers."""
    return f"{PLAIN[:-1]},{tail}}}".encode(), {name.replace("_", "-"): value for name, value in headers.items()}


EDGES = [
    (b"\xef\xbb\xbf" + PLAIN.encode(), {}),
    *(more(f'"x":{"[" * levels}{"]" * levels}') for levels in (99, 100, 101, 150, 1500)),
    *((f"[{more(tail)[0].decode()}]".encode(), {}) for tail in (f'"key":"{"🥶" * 200}"', f'"key":"{"🥶" * 201}"')),
    *(more(f'"x":{"9" * digits}') for digits in (17, 400, 5000)),
    *(more(f'"sensor":"{name}"') for name in ("🥶" * 200, "🥶" * 201, "\\ud83e", "\\ud83e" * 201)),
    *(more(f'"x":"{"🥶" * letters}"') for letters in (2100, 4100)),
    more('"x":1', Idempotency_Key=r'"a\"b"'),
    more('"x":1', Idempotency_Key=r'"a\"b"'),
    more('"x":2', Content_Encoding=""),
]
EVERYTHING = [Asked("GET", "/temps?limit=1000"), Asked("GET", "/sensors"), Asked("GET", "/temps")]


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(POSTS | POSTS | GETS | ODD, min_size=1, max_size=8).map(lambda asked: [*asked, *EVERYTHING]))
@example([sent([], {}, packed=False), sent([{"temperature": 1}] * 501, {}, packed=True), *EVERYTHING])
@example([Asked("POST", "/temps", b"[]", {"Content-Encoding": "br"}), Asked("POST", "/temps", b" " * (2 << 20))])
@example([*(Asked("POST", "/temps", body, headers) for body, headers in EDGES), Asked("GET", "/temps?sensor=%FF")])
@example([*(Asked("POST", "/temps", body, headers) for body, headers in EDGES), *EVERYTHING])
def test_same_requests_get_the_same_answers(both: Both, requests: list[Asked]) -> None:
    here, there = both.answers(requests)

    assert here == there
