"""The extended API: singles, batches, gzip, keys and queries; any bytes get an answer that is no 5xx."""

import gzip
import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world.visitors import Pair, ask, connect

from agent.devshield.edge import SUCCESS, Visitor
from agent.devshield.exchange import Request
from agent.devshield.extended_api import BATCH, BODY_BYTES, ExtendedApi, Handled
from agent.devshield.known_keys import KnownKeys
from agent.devshield.readings import Readings
from agent.devshield.shield import Setup, Shield

ONE, OTHER = "11" * 32, "22" * 32
Ask = Callable[..., Handled]


def item(number: int, **more: Any) -> dict[str, Any]:
    return {"temperature": str(number), "time": f"2026-11-23T09:{number // 60:02}:{number % 60:02}Z"} | more


def keyed(number: int, **more: Any) -> dict[str, Any]:
    return item(number, key=f"sensor-001-{number}") | more


def api(directory: Path) -> ExtendedApi:
    readings = Readings(directory / "kv", monotonic=lambda: 0.0)
    return ExtendedApi(readings, KnownKeys(directory / "keys"), directory / "readers.json")


def asker(made: ExtendedApi) -> Ask:
    def ask_it(
        body: Any = b"", method: str = "POST", target: str = "/temps", who: str = ONE, **headers: str
    ) -> Handled:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return made.answer(Request(method, target, named, raw, "127.0.0.1", Visitor(SUCCESS, who)))

    return ask_it


@pytest.fixture
def to(tmp_path: Path) -> Ask:
    return asker(api(tmp_path))


def listed(to: Ask, query: str = "", who: str = ONE) -> Any:
    return json.loads(to(method="GET", target=f"/temps{query}", who=who).reply.body)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b'{"temperature": NaN}', "not JSON: NaN"),
        (b"[" * 100_000, "nested too deep"),
        (b"7", "reading: must be an object"),
        ({"temperature": "warm", "time": "2026-11-23T09:14:22Z"}, "temperature: must be a number"),
        ({"temperature": True, "time": "2026-11-23T09:14:22Z"}, "temperature: must be a number"),
        ({"temperature": -274, "time": "2026-11-23T09:14:22Z"}, "temperature: must be within"),
        ({"temperature": 0}, "time: must be an instant"),
        ({"temperature": 0, "time": "2026-11-23"}, "time: must be an instant"),
        ({"temperature": 0, "time": "2026-11-23T09:14:22"}, "time: must be an instant"),
        ({"temperature": 0, "time": "1999-12-31T23:59:59Z"}, "time: is of a clock that was never set"),
        ({"temperature": 0, "time": "2099-01-01T00:00:00Z"}, "time: is more than a day ahead"),
        ({"temperature": 0, "time": "2026-02-29T00:00:00Z"}, "time: must be an instant"),
        ({"temperature": 0, "time": "2026-11-23T09:14:22+99:00"}, "time: must be an instant"),
        ({"temperature": 0, "time": "2026-11-23T09:14:22Z", "sensor": 7}, "sensor: must be a text"),
        ({"temperature": 0, "time": "2026-11-23T09:14:22Z", "x": "y" * 4096}, "reading: more than 4096"),
        ([], "batch: is empty"),
    ],
)
def test_what_is_no_reading_is_a_400_that_says_why(to: Ask, body: Any, says: str) -> None:
    got = to(body)
    assert (got.reply.status, got.stored, says in got.reply.body.decode()) == (400, 0, True)


@pytest.mark.parametrize("temperature", [0, "0", 0.0, "-0.5", 21.437])
def test_zero_degrees_are_a_temperature_as_a_number_or_as_a_text(to: Ask, temperature: Any) -> None:
    body = {"temperature": temperature, "time": "2026-11-23T09:14:22Z"}
    assert to(body).reply.status == 201
    assert listed(to) == [body]


def test_key_makes_a_repetition_an_acknowledgement_that_stores_nothing(to: Ask) -> None:
    first, again, other = (to(item(1), idempotency_key=key) for key in ('"d-1"', '"d-1"', '"d-2"'))
    assert [(each.reply.status, each.stored) for each in (first, again, other)] == [(201, 1), (201, 0), (201, 1)]


def test_another_reading_under_a_known_key_is_kept_because_a_lost_spool_numbers_anew(to: Ask) -> None:
    one = item(1, sensor="attic")
    others = [one | {"temperature": "2"}, one | {"time": item(2)["time"]}, one | {"sensor": "cellar"}, item(1)]
    for each in (one, *others):
        assert to(each, idempotency_key='"d-1"').stored == 1
    same = [one | {"temperature": 1}, one | {"temperature": "1.0", "seq": 7}, *others]
    assert to([{**each, "key": "d-1"} for each in same]).stored == 0
    assert len(listed(to, "?limit=1000")) == 5


def test_key_with_a_quote_in_it_is_a_key(to: Ask) -> None:
    assert [to(item(1), idempotency_key=r'"a\"b\\c"').stored for _ in range(2)] == [1, 0]
    assert to([item(1, key='a"b\\c')]).stored == 0


def test_key_of_a_batch_is_that_of_a_single_reading_and_belongs_to_the_device(to: Ask) -> None:
    to(item(1), idempotency_key='"sensor-001-1"')
    assert to([keyed(1), keyed(2)]).stored == 1
    assert to([keyed(1)], who=OTHER).stored == 1


def test_keys_outlive_a_restart(tmp_path: Path) -> None:
    assert asker(api(tmp_path))([keyed(1), keyed(2)]).stored == 2
    assert asker(api(tmp_path))([keyed(1), keyed(2), keyed(3)]).stored == 1


def test_batch_has_a_result_for_each_item_in_its_order(to: Ask) -> None:
    got = to([keyed(1), keyed(2, temperature="nan"), item(3), 7, keyed(4)])
    results = json.loads(got.reply.body)["results"]
    assert (got.reply.status, [each["status"] for each in results]) == (207, [201, 400, 400, 400, 201])
    assert [each["error"].split(":")[0] for each in results if "error" in each] == ["temperature", "key", "reading"]
    assert listed(to) == [item(4), item(1)]


@pytest.mark.parametrize(("count", "status"), [(BATCH, 207), (BATCH + 1, 413)])
def test_batch_is_bounded(to: Ask, count: int, status: int) -> None:
    assert to([keyed(number) for number in range(count)]).reply.status == status


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", gzip.compress(b"[%s]" % json.dumps(keyed(1)).encode()), 207),
        ("gzip", gzip.compress(json.dumps(item(1)).encode()), 201),
        ("gzip", gzip.compress(b" " * (BODY_BYTES + 1)), 413),
        ("identity", b" " * (BODY_BYTES + 1), 413),
        ("gzip", b"[]", 400),
        ("gzip", gzip.compress(b"[]")[:-4], 400),
        ("gzip", gzip.compress(b"[]") + b"more", 400),
        ("br", b"[]", 415),
        ("", b"[%s]" % json.dumps(keyed(1)).encode(), 207),
    ],
    ids=[
        "a batch",
        "one reading",
        "too large unpacked",
        "too large",
        "not packed",
        "cut short",
        "more behind it",
        "brotli",
        "nothing said",
    ],
)
def test_body_may_be_gzip_of_a_bounded_size(to: Ask, encoding: str, body: bytes, status: int) -> None:
    got = to(body, content_encoding=encoding)
    assert (got.reply.status, dict(got.reply.headers)["Accept-Encoding"]) == (status, "gzip")


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [6, 5, 4, 3, 2]),
        ("?limit=2", [6, 5]),
        ("?sensor=attic", [6, 4, 2, 0]),
        ("?from=2026-11-23T09:00:02Z&to=2026-11-23T09:00:04Z", [3, 2]),
        ("?from=2026-11-23T10:00:04%2B01:00&limit=1000&sensor=attic", [6, 4]),
        ("?to=2020-01-01T00:00:00Z", []),
    ],
)
def test_get_lists_what_is_asked_for_newest_first(to: Ask, query: str, numbers: list[int]) -> None:
    to([keyed(number, sensor=("attic", "freezer")[number % 2]) for number in range(7)])
    assert [int(each["temperature"]) for each in listed(to, query)] == numbers


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A3", "limit"),
        ("from=today", "from"),
        ("to=2026", "to"),
        ("since=1", "since"),
        ("limit=1&limit=2", "query"),
        ("sensor=%ff", "query"),
    ],
)
def test_parameter_that_is_not_understood_is_a_400_that_names_it(to: Ask, query: str, parameter: str) -> None:
    got = to(method="GET", target=f"/temps?{query}").reply
    assert (got.status, got.body.decode().split(":")[0]) == (400, parameter)


def test_sensors_are_counted_with_the_latest_of_each(to: Ask) -> None:
    to([keyed(1), keyed(2, sensor="attic"), keyed(3)])
    got = json.loads(to(method="GET", target="/sensors").reply.body)
    assert got == {
        "sensors": [
            {"sensor": None, "count": 2, "latest": item(3), "device": ONE},
            {"sensor": "attic", "count": 1, "latest": item(2, sensor="attic"), "device": ONE},
        ]
    }


def test_nobody_sees_another_devices_readings_but_a_reader_those_that_are_listed_for_it(tmp_path: Path) -> None:
    to = asker(api(tmp_path))
    to([keyed(1)])
    to([keyed(2)], who=OTHER)
    assert [listed(to, who=who) for who in (ONE, OTHER, "33" * 32)] == [[item(1)], [item(2)], []]
    (tmp_path / "readers.json").write_text(json.dumps({"33" * 32: [ONE, OTHER]}))
    assert listed(to, who="33" * 32) == [item(2), item(1)]


def test_fingerprints_of_readers_may_be_in_capitals(tmp_path: Path) -> None:
    to = asker(api(tmp_path))
    to([keyed(1)], who="ab" * 32)
    (tmp_path / "readers.json").write_text(json.dumps({"EF" * 32: ["AB" * 32]}))
    assert listed(to, who="ef" * 32) == [item(1)]


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({ONE: OTHER}), json.dumps({ONE: {}})])
def test_readers_that_cannot_be_read_are_a_503_that_names_the_file_and_devices_still_post(
    tmp_path: Path, text: str
) -> None:
    to = asker(api(tmp_path))
    (tmp_path / "readers.json").write_text(text)
    got = [to(method="GET", target=path).reply for path in ("/temps", "/sensors")]
    assert [(each.status, b"readers.json: " in each.body, dict(each.headers)["Retry-After"]) for each in got] == [
        (503, True, "60")
    ] * 2
    assert to(item(1)).reply.status == 201


@pytest.mark.parametrize("digits", [400, 5000])
def test_a_number_beyond_any_is_kept_as_javascript_does(to: Ask, digits: int) -> None:
    body = b'{"temperature":"1","time":"2026-11-23T09:14:22Z","x":%s}' % (b"9" * digits)
    assert to(body).reply.status == 201
    assert listed(to) == [{"temperature": "1", "time": "2026-11-23T09:14:22Z", "x": None}]


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        *((method, "/temps", 405) for method in ("PUT", "DELETE", "PATCH", "TRACE")),
        ("POST", "/sensors", 405),
        ("OPTIONS", "/temps", 204),
        ("OPTIONS", "/no", 404),
        ("GET", "/x/sensors", 404),
    ],
)
def test_other_methods_and_paths_are_refused_as_by_the_worker(to: Ask, method: str, target: str, status: int) -> None:
    assert to(method=method, target=target).reply.status == status


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
ALMOST = st.fixed_dictionaries(
    {}, optional={name: VALUES | st.just("2026-11-23T09:14:22Z") for name in ("temperature", "time", "sensor", "key")}
)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    body=st.binary(max_size=40) | (ALMOST | st.lists(ALMOST, max_size=4)).map(lambda value: json.dumps(value).encode()),
    encoding=st.sampled_from(("identity", "gzip", "x")),
    key=st.text(string.printable, max_size=8),
    method=st.sampled_from(("GET", "POST", "POST", "HEAD")),
    target=st.text(string.printable, max_size=20).map(lambda text: f"/temps?{text}") | st.just("/sensors"),
)
def test_any_request_gets_an_answer_that_is_no_5xx(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, encoding: str, key: str, method: str, target: str
) -> None:
    to = asker(api(tmp_path_factory.mktemp("any")))
    got = to(body, method, target, content_encoding=encoding, idempotency_key=key)
    assert 200 <= got.reply.status < 500
    assert to(method="GET").reply.status == 200


def test_shield_speaks_it_when_asked_to_and_says_so(home: Path, device: Pair) -> None:
    with Shield(Setup(home, rule="strict", api="extended")) as shield:
        connection = connect(shield, device)
        zipped = gzip.compress(json.dumps([keyed(1), keyed(2)]).encode())
        connection.request("POST", "/temps", body=zipped, headers={"Content-Encoding": "gzip"})
        answer = connection.getresponse()
        results = json.loads(answer.read())["results"]
        after = ask(connection, "GET")
        connection.close()
        [row, _] = shield.requests()
    assert (answer.status, results) == (207, [{"status": 201}] * 2)
    assert [after.headers[name] for name in ("Sensor-Batch", "Accept-Encoding")] == ["500", "gzip"]
    assert json.loads(after.body) == [item(2), item(1)]
    assert (row["stored"], row["results"], row["received_bytes"]) == (True, [201, 201], len(zipped))
    assert json.loads(row["body"]) == [keyed(1), keyed(2)]


def test_shield_announces_nothing_unless_asked_to(shield: Shield, device: Pair) -> None:
    connection = connect(shield, device)
    answers = [ask(connection), ask(connection, "GET")]
    connection.close()
    assert all("Sensor-Batch" not in got.headers and "Accept-Encoding" not in got.headers for got in answers)
