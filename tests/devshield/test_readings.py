"""The Worker's store: what survives, what KV refuses."""

import json
from pathlib import Path

import pytest

from agent.devshield.readings import TOO_LARGE, TOO_MANY, VALUE_BYTES, Readings

ADDRESS = "192.0.2.7"


def reading(number: int) -> dict[str, object]:
    return {"temperature": str(number), "time": "2026-11-23T09:14:22Z", "seq": float(number)}


def test_readings_are_kept_for_each_address_apart(tmp_path: Path) -> None:
    readings = Readings(tmp_path, monotonic=lambda: 0.0)
    for address in (ADDRESS, "2001:db8::7"):
        readings.meet(address)
    readings.add(ADDRESS, reading(1), limited=False)
    assert [readings.of(address) for address in (ADDRESS, "2001:db8::7", "192.0.2.8")] == [[reading(1)], [], None]


def test_readings_outlive_a_restart(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        readings = Readings(tmp_path, monotonic=lambda: 0.0)
        readings.meet(ADDRESS)
        readings.add(ADDRESS, reading(number), limited=False)
    assert Readings(tmp_path, monotonic=lambda: 0.0).of(ADDRESS) == [reading(1), reading(2), reading(3)]


def test_file_is_the_value_that_kv_would_hold(tmp_path: Path) -> None:
    readings = Readings(tmp_path, monotonic=lambda: 0.0)
    readings.meet(ADDRESS)
    for number in (1, 2):
        readings.add(ADDRESS, reading(number), limited=False)
    text = (tmp_path / f"data-{ADDRESS}.json").read_text()
    assert json.loads(text) == {"temperatures": [reading(1), reading(2)]}
    assert " " not in text


@pytest.mark.parametrize(
    ("seconds", "refusals"),
    [([0.0, 0.5, 1.0], [TOO_MANY, TOO_MANY, ""]), ([1.0, 1.9, 2.0, 3.5], ["", TOO_MANY, "", ""])],
)
def test_limited_key_takes_one_write_a_second(tmp_path: Path, seconds: list[float], refusals: list[str]) -> None:
    clock = iter([0.0, *seconds])
    readings = Readings(tmp_path, monotonic=lambda: next(clock))
    readings.meet(ADDRESS)  # writes the empty list: the first write of that second
    assert [readings.add(ADDRESS, reading(1), limited=True) for _ in seconds] == refusals


def test_value_that_is_full_takes_no_more(tmp_path: Path) -> None:
    readings = Readings(tmp_path, monotonic=lambda: 0.0)
    readings.meet(ADDRESS)
    large = {"temperature": "1", "time": "x", "filler": "x" * (VALUE_BYTES // 2)}
    assert [readings.add(ADDRESS, large, limited=False) for _ in range(2)] == ["", TOO_LARGE]
