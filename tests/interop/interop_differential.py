"""The development shield beside the real runtime: the same requests, the same answers, so that it cannot drift.

Bodies, methods, paths and headers are generated, the same at each run. An example is a few requests from one
address, because what a GET answers depends on what was posted before.
"""

import http.client
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from interop import runtime
from interop.runtime import EMPTY, Runtime
from world.visitors import connection, pair

from agent.devshield.authority import Authority
from agent.devshield.shield import Setup, Shield

EXAMPLES = int(os.environ.get("INTEROP_EXAMPLES", "200"))
METHODS = ("POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
ADDRESSES = (f"127.{a}.{b}.{c}" for a, b, c in itertools.product(range(1, 255), range(1, 255), range(1, 255)))
Answer = tuple[int, str | None, bytes]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Both:
    """The shield and the runtime, with a pair that the shield lets in."""

    shield: Shield
    worker: Runtime
    shown: tuple[Path, Path]

    def answers(self, requests: list[Asked]) -> tuple[list[Answer], list[Answer]]:
        """What the shield and the runtime answer to the requests, from an address that nobody had before."""
        address = next(ADDRESSES)
        self.worker.meet(address)
        to = connection(self.shield.ca_file, self.shield.port, self.shown, source=address)
        there = http.client.HTTPConnection("127.0.0.1", self.worker.port, timeout=10)
        try:
            # the first POST makes the list of an address; the runtime's has just been made
            assert _ask(to, Asked("POST", "/", (), b"{}"), {})[0] == 400
            here = [_ask(to, asked, {}) for asked in requests]
            return here, [_ask(there, asked, {"CF-Connecting-IP": address}) for asked in requests]
        finally:
            to.close()
            there.close()


def _ask(to: http.client.HTTPConnection, asked: Asked, beside: dict[str, str]) -> Answer:
    body = asked.body if asked.method in {"POST", "PUT", "PATCH"} else None
    to.request(asked.method, asked.path, body=body, headers={**dict(asked.headers), **beside})
    answer = to.getresponse()
    return answer.status, answer.headers["Content-Type"], answer.read()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Both ends, started once."""
    directory = tmp_path_factory.mktemp("both")
    authority = Authority.create(directory / "shield")
    shown = pair(directory, "p256", authority)
    with runtime.run(directory / "runtime") as worker, Shield(Setup(directory / "shield")) as shield:
        yield Both(shield, worker, shown)


TIMES = (
    "2026-11-23T09:14:22Z",
    "2026-11-23T09:14:22.123456Z",
    "2026-11-23T09:14:22+02:00",
    "2026-11-23 09:14:22",
    "2026-11-23",
    "2026-11",
    "2099-01-01T00:00:00Z",
    "2026-11-23T09:14:60Z",
    "2026-02-30T00:00:00Z",
    "20261123T091422Z",
    "Mon, 23 Nov 2026 09:14:22 GMT",
    "yesterday-ish",
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
TEMPERATURES = st.one_of(st.sampled_from(["21.437", "0", "", 0, 0.0, -0.0, 21.5, None, False, True, [], {}]), VALUES)
READINGS = st.fixed_dictionaries(
    {"temperature": TEMPERATURES, "time": st.sampled_from(TIMES)},
    optional={"seq": st.integers(), "10": SCALARS, "2": SCALARS, "__proto__": VALUES, "sensor": st.text(max_size=5)},
)
TEXTS = st.one_of(READINGS, VALUES).map(json.dumps)
PLAIN_TEXTS = READINGS.map(lambda value: json.dumps(value, ensure_ascii=False, indent=1))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """JSON of which some bytes were lost, changed or put in."""
    text = draw(TEXTS | PLAIN_TEXTS).encode("utf-8", "surrogatepass")
    place = draw(st.integers(0, len(text)))
    gone = draw(st.integers(0, 3))
    return (
        text[:place]
        + draw(st.binary(max_size=2) | st.sampled_from([b",", b'"', b"{", b"\\", b"NaN"]))
        + text[place + gone :]
    )


BODIES = st.one_of(
    TEXTS.map(str.encode),
    PLAIN_TEXTS.map(lambda text: text.encode("utf-8", "replace")),
    damaged(),
    st.binary(max_size=40),
)
HEADER_VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "Content-Type",
            "Content-Encoding",
            "Accept",
            "Accept-Encoding",
            "Idempotency-Key",
            "If-None-Match",
            "Range",
            "X-Any",
        ]
    ),
    HEADER_VALUES,
    max_size=3,
)
PATHS = st.text(st.sampled_from("abz019-._~/?&=%20"), max_size=12).map(lambda text: "/" + text.lstrip("/"))
REQUESTS = st.builds(
    Asked,
    st.sampled_from(METHODS) | st.just("POST"),
    st.just("/temps") | PATHS,
    HEADERS.map(lambda found: tuple(found.items())),
    BODIES,
)


def posts(*bodies: bytes) -> list[Asked]:
    """A POST of each, then a GET."""
    return [*(Asked("POST", "/temps", (), body) for body in bodies), Asked("GET", "/temps", (), b"")]


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(REQUESTS, min_size=1, max_size=6).map(lambda asked: [*asked, Asked("GET", "/temps", (), b"")]))
@example(posts(b"", b"null", b"[]", b"{}", b"5", b'"x"', b"true", b"temperature=1&time=2"))
@example(posts(b'\xef\xbb\xbf{"temperature": 1, "time": "x"}', b"\x1f\x8b\x08\x00", b"\xff\xfe{"))
@example(posts(*(f'{{"temperature": "{number}", "time": "{time}"}}'.encode() for number, time in enumerate(TIMES))))
def test_same_requests_get_the_same_answers(both: Both, requests: list[Asked]) -> None:
    here, there = both.answers(requests)

    assert here == there


def test_address_that_never_posted_gets_an_object_from_both(both: Both) -> None:
    there = http.client.HTTPConnection("127.0.0.1", both.worker.port, timeout=10)
    to = connection(both.shield.ca_file, both.shield.port, both.shown, source=next(ADDRESSES))
    asked = Asked("GET", "/temps", (), b"")
    answers: list[Any] = [_ask(to, asked, {}), _ask(there, asked, {"CF-Connecting-IP": "192.0.2.1"})]
    to.close()
    there.close()

    assert answers == [(200, "application/json", EMPTY.encode())] * 2
