"""The form of a reading on the wire, byte for byte."""

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.reading import LATEST_SECOND, MILLI_LIMIT, Reading, body, decimal, milli, utc_text

NOON = 1_795_348_800


@pytest.mark.parametrize(
    ("celsius", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (-0.0004, "0"),
        (0.0004, "0"),
        (-0.0006, "-0.001"),
        (-0.0625, "-0.062"),
        (0.0625, "0.062"),
        (21.4375, "21.438"),
        (21.5, "21.5"),
        (21.437, "21.437"),
        (85.0, "85"),
        (-55.0, "-55"),
        (100.0, "100"),
        (1e-7, "0"),
        (1e3, "1000"),
        (0.1 + 0.2, "0.3"),
        (-10.01, "-10.01"),
    ],
)
def test_a_temperature_is_a_plain_decimal_of_at_most_three_places(celsius: float, text: str) -> None:
    assert decimal(milli(celsius)) == text


@pytest.mark.parametrize("celsius", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_no_temperature(celsius: float) -> None:
    with pytest.raises(ValueError, match="no temperature"):
        milli(celsius)


@pytest.mark.parametrize("thousandths", range(-2100, 2101, 7))
def test_the_decimal_reads_back_as_the_same_thousandths(thousandths: int) -> None:
    assert round(float(decimal(thousandths)) * 1000) == thousandths


@pytest.mark.parametrize(
    ("thousandths", "sent"),
    [
        (21_437, b'{"temperature": "21.437", "time": "2026-11-22T12:00:00Z"}'),
        (0, b'{"temperature": "0", "time": "2026-11-22T12:00:00Z"}'),
        (-62, b'{"temperature": "-0.062", "time": "2026-11-22T12:00:00Z"}'),
    ],
)
def test_the_body_is_a_string_and_a_utc_second(thousandths: int, sent: bytes) -> None:
    assert body(Reading("freezer", thousandths, NOON), temperature_as="string") == sent


@pytest.mark.parametrize(
    ("thousandths", "number"), [(21_437, b"21.437"), (0, b"0"), (85_000, b"85"), (-62, b"-0.062"), (1, b"0.001")]
)
def test_the_temperature_may_be_a_number(thousandths: int, number: bytes) -> None:
    sent = body(Reading("freezer", thousandths, NOON), temperature_as="number")
    assert sent == b'{"temperature": ' + number + b', "time": "2026-11-22T12:00:00Z"}'


@given(
    thousandths=st.integers(-MILLI_LIMIT, MILLI_LIMIT),
    second=st.integers(0, LATEST_SECOND),
    kind=st.sampled_from(["string", "number"]),
    extra=st.dictionaries(st.sampled_from(["sensor", "device", "seq"]), st.text(max_size=5) | st.integers()),
)
def test_the_body_is_what_the_json_library_writes(
    thousandths: int, second: int, kind: str, extra: dict[str, str | int]
) -> None:
    text = decimal(thousandths)
    number = float(text) if "." in text else int(text)
    fields = {"temperature": text if kind == "string" else number, "time": utc_text(second), **extra}
    sent = body(Reading("freezer", thousandths, second), temperature_as=kind, extra=extra)
    assert sent == json.dumps(fields).encode()
    assert utc_text(second) == f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"


def test_extra_fields_follow_in_their_order() -> None:
    extra: dict[str, str | int] = {"sensor": "Kühlraum", "device": "rpi-1", "seq": 7}
    sent = body(Reading("Kühlraum", 1000, NOON), temperature_as="string", extra=extra)
    assert list(json.loads(sent)) == ["temperature", "time", "sensor", "device", "seq"]
    assert sent.isascii()
    assert json.loads(sent)["sensor"] == "Kühlraum"


@pytest.mark.parametrize(
    ("second", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (NOON, "2026-11-22T12:00:00Z"),
        (NOON + 0.999, "2026-11-22T12:00:00Z"),
        (LATEST_SECOND, "9999-12-31T23:59:59Z"),
        (4_102_444_800, "2100-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_utc_without_a_fraction(second: float, text: str) -> None:
    assert utc_text(second) == text


@pytest.mark.parametrize("second", [-1, LATEST_SECOND + 1])
def test_a_time_outside_four_digits_is_refused(second: int) -> None:
    with pytest.raises(ValueError, match="outside 1970…9999"):
        Reading("freezer", 0, second)


@pytest.mark.parametrize("thousandths", [10_000_001, -10_000_001])
def test_a_temperature_beyond_any_sensor_is_refused(thousandths: int) -> None:
    with pytest.raises(ValueError, match="no temperature"):
        Reading("freezer", thousandths, 0)
