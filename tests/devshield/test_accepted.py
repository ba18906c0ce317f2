"""What the demo holds against the shield's log: order of each sensor, each reading once, whatever a loaded machine does."""

import json
from typing import Any

from agent.devshield.accepted import accepted, disorder


def reading(sensor: str, second: int) -> dict[str, str]:
    return {"temperature": "21.5", "time": f"2026-11-29T17:00:{second:02}Z", "sensor": sensor}


def single(number: int, body: dict[str, str]) -> dict[str, Any]:
    """A POST of one reading, as the shield notes it."""
    key = f'"device-{number}"'
    return {"method": "POST", "status": 201, "results": None, "idempotency_key": key, "body": json.dumps(body)}


def batch(first: int, *bodies: dict[str, str]) -> dict[str, Any]:
    items = [{"key": f"device-{number}", **body} for number, body in enumerate(bodies, first)]
    results = [201] * len(items)
    return {"method": "POST", "status": 207, "results": results, "idempotency_key": None, "body": json.dumps(items)}


def got(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    return accepted(json.dumps(each) for each in requests)


def test_a_reading_that_went_again_under_its_key_was_taken_once() -> None:
    one, two, three = (reading("freezer", second) for second in (1, 2, 3))
    found = got(single(1, one), single(2, two), single(2, two), batch(2, two, three))
    assert [each["time"] for each in found] == [one["time"], two["time"], three["time"]]
    assert disorder(found) == ""


def test_another_reading_under_a_key_was_taken_too() -> None:
    one, two = (reading("freezer", second) for second in (1, 2))
    assert [each["time"] for each in got(single(1, one), single(1, two), batch(1, two))] == [one["time"], two["time"]]


def test_a_sensor_that_was_read_late_follows_the_others() -> None:
    assert disorder(got(batch(1, reading("room", 2), reading("freezer", 1), reading("room", 3)))) == ""


def test_a_sensor_that_goes_back_is_told() -> None:
    assert "out of order" in disorder(got(single(1, reading("freezer", 2)), single(2, reading("freezer", 1))))


def test_a_reading_under_two_keys_is_told() -> None:
    assert "twice" in disorder(got(single(1, reading("freezer", 2)), single(2, reading("freezer", 2))))
