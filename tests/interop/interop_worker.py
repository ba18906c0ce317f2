"""The Worker to deploy, in the real runtime: what it takes, what it refuses and why, and whose readings it shows."""

import itertools
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from interop import deployed
from interop.deployed import Deployed, certificate, zipped

READING = {"temperature": "21.437", "time": "2026-11-23T09:14:22Z"}
FINGERPRINTS = (f"{number:064x}" for number in itertools.count(1))
READER, SEEN, OTHER = "e" * 64, "d" * 64, "c" * 64


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The Worker as wrangler.toml has it, with one reader in its register."""
    with deployed.run(tmp_path_factory.mktemp("worker"), REGISTER={READER: {"sees": [SEEN, OTHER]}}) as made:
        yield made


@pytest.fixture
def device() -> str:
    """A certificate's fingerprint that nobody had before."""
    return next(FINGERPRINTS)


def readings(count: int, *, sensor: str | None = None) -> list[dict[str, Any]]:
    """That many, a minute apart, the temperature their number."""
    start = datetime(2026, 11, 20, tzinfo=UTC)
    named = {} if sensor is None else {"sensor": sensor}
    return [
        {"temperature": n, "time": f"{start + timedelta(minutes=n):%Y-%m-%dT%H:%M:%SZ}", **named} for n in range(count)
    ]


def keyed(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items of a batch: each with a key of its own."""
    return [{**each, "key": f"rpi-{number}"} for number, each in enumerate(items)]


def temperatures(listed: list[dict[str, Any]]) -> list[Any]:
    """Those of a list, in its order."""
    return [each["temperature"] for each in listed]


def test_posts_are_answered_201_and_the_five_most_recent_are_listed_newest_first(worker: Deployed, device: str) -> None:
    answers = [worker.post(device, {**each, "made": {"up": [1]}}) for each in readings(7)]

    assert {(answer.status, answer.body) for answer in answers} == {(201, b"")}
    assert worker.get(device) == [{**each, "made": {"up": [1]}} for each in readings(7)[:1:-1]]


def test_a_device_that_never_posted_has_an_empty_list(worker: Deployed, device: str) -> None:
    assert (worker.get(device), worker.get(device, path="/sensors")) == ([], {"sensors": []})


@pytest.mark.parametrize("celsius", [0, 0.0, -0.0, "0", "0.0", "-0.5", "1e-05", "69.80000000000001", -273.15, 85])
def test_temperature_is_taken_as_number_or_string(worker: Deployed, device: str, celsius: object) -> None:
    assert worker.post(device, {**READING, "temperature": celsius}).status == 201
    assert temperatures(worker.get(device)) == [celsius]


REFUSED: dict[str, list[object]] = {
    "temperature": ["", " 7", "0x10", "nan", "Infinity", "21,4", None, True, {}, [21], -273.16, 10001, "1e9"],
    "time": [
        "",
        "yesterday-ish",
        1767323045,
        None,
        "2026-11-23",
        "2026-11-23T09:14:22",
        "2026-11-23 09:14:22Z",
        "2026-02-30T00:00:00Z",
        "2026-11-23T09:14:60Z",
        "2026-11-23T25:00:00Z",
        "1970-01-01T00:00:05Z",
        "2099-01-01T00:00:00Z",
        "20261123T091422Z",
        "2026-11-23T09:14:22+00:00Z",
    ],
    "sensor": [7, True, {}, "x" * 201, "🥶" * 201],
}
CASES = [(field, value) for field, values in REFUSED.items() for value in values]


@pytest.mark.parametrize(("field", "value"), CASES, ids=[f"{field}-{value}"[:40] for field, value in CASES])
def test_what_is_implausible_is_refused_with_its_field(
    worker: Deployed, device: str, field: str, value: object
) -> None:
    single = worker.post(device, {**READING, field: value})
    [result] = worker.post(device, keyed([{**READING, field: value}])).json()["results"]

    assert (single.status, single.text().split(":")[0]) == (400, field)
    assert (result["status"], result["error"]) == (400, single.text().strip())
    assert worker.get(device) == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"7", b'"x"', b"{}", b"[]", b"\xff{}", b'{"a":NaN}', b"[" * 100_000], ids=repr
)
def test_a_body_that_is_no_reading_is_400_and_not_500(worker: Deployed, device: str, body: bytes) -> None:
    answer = worker.ask(device, "POST", body=body)

    assert (answer.status, answer.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert ":" in answer.text()


def test_a_reading_that_is_long_or_deep_is_refused(worker: Deployed, device: str) -> None:
    assert worker.post(device, {**READING, "x": "y" * 4096}).status == 400
    for levels in (101, 200_000):
        deep = json.dumps(READING)[:-1] + ', "x": ' + "[" * levels + "]" * levels + "}"
        answer = worker.ask(device, "POST", body=deep.encode())
        assert (answer.status, answer.text()) == (400, "reading: nested too deeply\n")


@pytest.mark.parametrize("field", ["temperature", "sensor"])
def test_a_refusal_of_a_long_text_is_utf_8(worker: Deployed, device: str, field: str) -> None:
    for text in ("🥶" * 300, "x" + "🥶" * 300):
        answer = worker.post(device, {**READING, field: text})
        [result] = worker.post(device, keyed([{**READING, field: text}])).json()["results"]

        assert (answer.status, answer.text().split(":")[0]) == (400, field)
        assert result["error"].encode().decode() == answer.text().strip()


def test_one_odd_device_hides_no_other_from_a_reader(tmp_path: Path) -> None:
    odd, good = "a" * 64, "b" * 64
    with deployed.run(tmp_path, REGISTER={READER: {"sees": [odd, good]}}) as worker:
        worker.post(good, {**READING, "sensor": "good"})
        for start in range(0, 9000, 250):
            numbers = range(start, start + 250)
            worker.post(odd, [{**READING, "sensor": f"s{n}", "x": "y" * 3900, "key": f"{n}"} for n in numbers])
        got = worker.get(READER, path="/sensors")
        assert [row["device"] for row in got["sensors"]].count(good) == 1
        assert 100 < len(got["sensors"]) < 1001
        assert got["missing"] == [odd]  # so that nobody takes it for all
        assert "missing" not in worker.get(good, path="/sensors")


def test_what_more_is_offered_is_said_in_the_answers_of_that_path_alone(worker: Deployed, device: str) -> None:
    answers = [worker.ask(device), worker.post(device, READING), worker.post(device, {}), worker.ask(device, path="/")]

    said = [(answer.headers["Sensor-Batch"], answer.headers["Accept-Encoding"]) for answer in answers]
    assert said == [("500", "gzip")] * 3 + [(None, None)]


def test_a_batch_has_a_result_for_each_item(worker: Deployed, device: str) -> None:
    items = keyed(readings(4))
    items[1]["temperature"] = "warm"
    del items[2]["key"]
    answer = worker.post(device, items)

    results = answer.json()["results"]
    assert (answer.status, [result["status"] for result in results]) == (207, [201, 400, 400, 201])
    assert [result.get("error", "").split(":")[0] for result in results] == ["", "temperature", "key", ""]
    assert worker.get(device) == [readings(4)[3], readings(4)[0]]  # the key is no part of what is kept


@pytest.mark.parametrize(
    ("status", "body", "encoding"),
    [
        (207, zipped(keyed(readings(500))), "gzip"),
        (413, zipped(keyed(readings(501))), "gzip"),
        (413, zipped([{**READING, "x": "y" * (1 << 20)}]), "gzip"),
        (413, zipped("0" * (20 << 20)), "gzip"),
        (413, b" " * ((1 << 20) + 1), "identity"),
        (400, zipped(keyed(readings(5)))[:-9], "gzip"),
        (400, b"[]", "gzip"),
        (415, b"[]", "br"),
    ],
    ids=["most", "one-more", "large", "bomb", "plain", "cut", "not-gzip", "brotli"],
)
def test_batches_have_bounds(worker: Deployed, device: str, status: int, body: bytes, encoding: str) -> None:
    answer = worker.ask(device, "POST", body=body, headers={"Content-Encoding": encoding})

    assert answer.status == status
    assert worker.count(device) == (500 if status == 207 else 0)


def test_a_key_is_stored_once_whichever_way_it_comes(worker: Deployed, device: str) -> None:
    one, two = readings(2)
    single = [worker.post(device, one, Idempotency_Key='"rpi-0"').status for _ in range(2)]
    batch = [
        [result["status"] for result in worker.post(device, items).json()["results"]]
        for items in ([{**one, "key": "rpi-0"}, {**two, "key": "a\n"}, {**two, "key": "a\n"}], [{**two, "key": "a\n"}])
    ]

    assert (single, batch) == ([201, 201], [[201] * 3, [201]])
    assert worker.get(device) == [two, one]


def test_another_reading_under_a_known_key_is_kept_because_a_lost_spool_numbers_anew(
    worker: Deployed, device: str
) -> None:
    one: dict[str, Any] = {**READING, "sensor": "attic"}
    others = [one | {"temperature": 2}, one | {"time": "2026-11-23T09:15:22Z"}, one | {"sensor": "cellar"}, READING]
    for each in (one, *others):
        assert worker.post(device, each, Idempotency_Key='"rpi-1"').status == 201
    same = [one | {"temperature": 21.437}, one | {"time": "2026-11-23T10:14:22+01:00", "seq": 7}, *others]
    answer = worker.post(device, [{**each, "key": "rpi-1"} for each in same])

    assert answer.json()["results"] == [{"status": 201}] * len(same)
    assert sorted(map(str, worker.get(device, "?limit=1000"))) == sorted(map(str, [one, *others]))


def test_a_key_is_the_devices_own(worker: Deployed, device: str) -> None:
    other = next(FINGERPRINTS)
    for who in (device, other):
        worker.post(who, READING, Idempotency_Key='"same"')

    assert (worker.count(device), worker.count(other)) == (1, 1)


def test_a_hundred_posts_at_once_lose_nothing(worker: Deployed, device: str) -> None:
    statuses: list[int] = []
    posts = [
        threading.Thread(target=lambda each=each: statuses.append(worker.post(device, each).status))
        for each in readings(100)
    ]
    for thread in posts:
        thread.start()
    for thread in posts:
        thread.join()

    assert statuses == [201] * 100
    assert sorted(temperatures(worker.get(device, "?limit=1000"))) == list(range(100))


def test_a_range_is_from_inclusive_to_exclusive(worker: Deployed, device: str) -> None:
    mixed = keyed(readings(300))
    worker.post(device, [*mixed[::-2], *mixed[::2]])  # each page spans nearly all of the time
    span = "from=2026-11-20T00:10:00Z&to=2026-11-20T02:11:00%2B02:00"

    assert temperatures(worker.get(device, f"?{span}")) == [10]
    assert temperatures(worker.get(device, "?from=2026-11-20T04:57:00Z")) == [299, 298, 297]
    assert temperatures(worker.get(device, "?to=2026-11-20T00:03:00Z&limit=2")) == [2, 1]
    assert temperatures(worker.get(device)) == [299, 298, 297, 296, 295]
    assert temperatures(worker.get(device, "?limit=1000")) == list(range(299, -1, -1))
    assert len(worker.get(device, "?sensor=")) == 0
    assert len(worker.get(device, "?to=2030-01-01T00:00:00Z")) == 100


def test_sensors_are_counted_and_shown_with_their_latest(worker: Deployed, device: str) -> None:
    worker.post(device, [{**each, "key": f"{n}"} for n, each in enumerate(readings(3, sensor="freezer") + readings(2))])
    worker.post(device, {**READING, "time": "2026-11-19T00:00:00Z", "sensor": "freezer"})

    rows = worker.get(device, path="/sensors")["sensors"]
    assert [(row["sensor"], row["count"], row["latest"]) for row in rows] == [
        (None, 2, readings(2)[1]),
        ("freezer", 4, readings(3, sensor="freezer")[2]),
    ]
    assert temperatures(worker.get(device, "?sensor=freezer&limit=2")) == [2, 1]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=1e2", "limit"),
        ("from=yesterday", "from"),
        ("to=", "to"),
        ("form=2026-11-20T00:10:00Z", "form"),
        ("limit=1&limit=2", "limit"),
        ("__proto__=1", "__proto__"),
        ("sensor=%FF", "query"),
        ("sensor=a%C3", "query"),
    ],
)
def test_a_parameter_that_is_not_understood_is_named(worker: Deployed, device: str, query: str, named: str) -> None:
    answer = worker.ask(device, path=f"/temps?{query}")

    assert (answer.status, answer.text().split(":")[0]) == (400, named)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/temps", 200),
        ("OPTIONS", "/temps", 204),
        ("PUT", "/temps", 405),
        ("POST", "/", 405),
        ("DELETE", "/sensors", 405),
        ("GET", "/other", 404),
        ("POST", "/temps/", 404),
    ],
)
def test_method_and_path(worker: Deployed, device: str, method: str, path: str, status: int) -> None:
    assert worker.ask(device, method, path, body=b"{}" if method in {"POST", "PUT"} else None).status == status


VISITORS: dict[str, dict[str, Any]] = {
    "none": {"certPresented": "0", "certVerified": "NONE", "certRevoked": "0", "certFingerprintSHA256": ""},
    "nothing said": {},
    "not verified": certificate("a" * 64, certVerified="FAILED:self signed certificate"),
    "revoked": certificate("a" * 64, certRevoked="1"),
    "no fingerprint": certificate(""),
    "no hexadecimal": certificate("../" * 21 + "a"),
}


@pytest.mark.parametrize("visitor", VISITORS.values(), ids=VISITORS)
@pytest.mark.parametrize(("method", "path"), [("POST", "/temps"), ("GET", "/temps"), ("GET", "/"), ("GET", "/other")])
def test_who_has_no_good_certificate_is_refused_everywhere(
    worker: Deployed, visitor: dict[str, Any], method: str, path: str
) -> None:
    body = json.dumps(READING).encode() if method == "POST" else None
    answer = worker.ask(visitor, method, path, body=body, headers={"CF-Connecting-IP": "192.0.2.1"})

    assert (answer.status, answer.text()[:18]) == (403, "client certificate")


def test_a_reader_sees_what_the_register_lists_for_it_and_nobody_else_does(worker: Deployed) -> None:
    first, second, third = readings(3)
    for who, reading in ((SEEN, first), (OTHER, second), (SEEN, third)):
        worker.post(who, reading)
    worker.post(READER, READING)

    assert worker.get(READER) == [third, second, first]
    assert [(row["device"], row["count"]) for row in worker.get(READER, path="/sensors")["sensors"]] == [
        (SEEN, 2),
        (OTHER, 1),
    ]
    assert (worker.get(SEEN), worker.get(OTHER)) == ([third, first], [second])
