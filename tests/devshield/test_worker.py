"""The Worker's surprises, row by row, as the tutorial's code gives them in the Workers runtime."""

import json

import pytest

from agent.devshield.worker import EMPTY, INCOMPLETE, listing, post

TIME = '"time": "2026-11-23T09:14:22Z"'


@pytest.mark.parametrize(
    "body",
    [
        f'{{"temperature": "21.437", {TIME}}}',
        f'{{"temperature": 21.437, {TIME}}}',
        f'{{"temperature": "0", {TIME}}}',
        f'{{"temperature": "0.0", {TIME}}}',
        f'{{"temperature": "nan", {TIME}}}',
        f'{{"temperature": {{"c": 1}}, {TIME}}}',
        f'{{"temperature": [], {TIME}}}',
        f'{{"temperature": true, {TIME}}}',
        '{"temperature": 1, "time": "yesterday-ish"}',
        '{"temperature": 1, "time": 1767323045}',
    ],
)
def test_post_of_anything_truthy_is_accepted(body: str) -> None:
    reply, reading = post(body.encode())
    assert (reply.status, reply.content_type, reply.body) == (201, "text/plain;charset=UTF-8", b"")
    assert reading == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"temperature": 0, {TIME}}}',
        f'{{"temperature": 0.0, {TIME}}}',
        f'{{"temperature": -0.0, {TIME}}}',
        f'{{"temperature": "", {TIME}}}',
        f'{{"temperature": null, {TIME}}}',
        f'{{"temperature": false, {TIME}}}',
        f"{{{TIME}}}",
        '{"temperature": 21.5}',
        '{"temperature": 21.5, "time": ""}',
        "{}",
        f'[{{"temperature": 21.5, {TIME}}}]',
        '"21.5"',
        "21.5",
        "true",
    ],
)
def test_post_of_anything_falsy_is_400(body: str) -> None:
    reply, reading = post(body.encode())
    assert (reply.status, reply.content_type, reply.body) == (400, "text/plain;charset=UTF-8", INCOMPLETE)
    assert reading is None


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "SyntaxError: Unexpected end of JSON input"),
        (b"null", "TypeError: Cannot read properties of null (reading 'temperature')"),
        (
            b'{"temperature": NaN, "time": "2026-11-23T09:14:22Z"}',
            'SyntaxError: Unexpected token \'N\', ..."erature": NaN, "time"... is not valid JSON',
        ),
        (
            b'{"temperature": 1,}',
            "SyntaxError: Expected double-quoted property name in JSON at position 18 (line 1 column 19)",
        ),
        (
            b'\xef\xbb\xbf{"temperature": 1}',
            'SyntaxError: Unexpected token \'\ufeff\', "\ufeff{"temperature": 1}" is not valid JSON',
        ),
        (b"temperature=21.5", "SyntaxError: Unexpected token 'e', \"temperature=21.5\" is not valid JSON"),
        (
            '{"temperature": "😀\t"}'.encode(),
            "SyntaxError: Bad control character in string literal in JSON at position 19 (line 1 column 20)",
        ),
        (
            b'{"a":1,\r"b":1,\r\n\n "c" 1}',
            "SyntaxError: Expected ':' after property name in JSON at position 22 (line 4 column 6)",
        ),
        (
            "😀".encode(),
            "SyntaxError: Unexpected token '\ud83d', \"😀\" is not valid JSON",
        ),
        (b"\x1f\x8b\x08\x00", "SyntaxError: Unexpected token '\x1f', \"\x1f\ufffd\x08\x00\" is not valid JSON"),
    ],
)
def test_post_of_what_does_not_parse_is_500_with_the_exception(body: bytes, error: str) -> None:
    reply, reading = post(body)
    assert (reply.status, reply.content_type, reply.body.decode("utf-8", "surrogatepass")) == (
        *(500, "text/plain;charset=UTF-8"),
        error,
    )
    assert reading is None


def test_listing_of_an_address_that_never_posted_is_an_object() -> None:
    assert listing(None).body.decode() == EMPTY == '{"temperatures":[]}'


def test_listing_of_an_address_without_readings_is_an_array() -> None:
    assert listing([]).body == b"[]"


def test_listing_holds_the_five_most_recent_newest_first() -> None:
    hours = (3, 1, 7, 5, 2, 6, 4)
    readings = [{"temperature": str(hour), "time": f"2026-01-01T0{hour}:00:00Z"} for hour in hours]
    assert [each["temperature"] for each in json.loads(listing(readings).body)] == ["7", "6", "5", "4", "3"]


def test_listing_keeps_extra_fields_and_rewrites_numbers_as_javascript_does() -> None:
    readings = [{"temperature": 36.70, "time": "2026-01-01T00:00:00Z", "seq": 7.0}]
    assert listing(readings).body == b'[{"temperature":36.7,"time":"2026-01-01T00:00:00Z","seq":7}]'


def test_listing_is_out_of_order_around_a_time_that_does_not_parse() -> None:
    times = ("2026-01-01T01:00:00Z", "yesterday-ish", "2026-01-01T03:00:00Z")
    readings = [{"temperature": "1", "time": time} for time in times]
    assert [each["time"] for each in json.loads(listing(readings).body)] == list(times)


def test_listing_keeps_a_reading_of_the_far_future_on_top() -> None:
    readings = [{"temperature": "1", "time": f"{year}-01-01T00:00:00Z"} for year in (2099, *range(2020, 2030))]
    assert json.loads(listing(readings).body)[0]["time"].startswith("2099")
