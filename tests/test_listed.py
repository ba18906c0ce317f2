"""What counts as a list, and which entry of it as the reading that was sent."""

from typing import Any

import pytest

from agent.delivery import is_same, listed, names_device, second, take

BODY = b'{"temperature": "21.437", "time": "2026-11-23T09:14:22Z"}'
ITEM = {"temperature": "21.437", "time": "2026-11-23T09:14:22Z"}
TEXT = '{"temperature":"21.437","time":"2026-11-23T09:14:22Z"}'


@pytest.mark.parametrize(
    ("answer", "entries"),
    [
        (f"[{TEXT}]", [ITEM]),
        (f'{{"temperatures":[{TEXT}]}}', [ITEM]),
        (f"[7,null,{TEXT}]", [7, None, ITEM]),
        ('{"temperatures":[]}', []),
        ("[]", []),
        (TEXT, []),
        ('{"temperatures":{}}', []),
        ("<html>Welcome</html>", []),
        ("", []),
        ("[" * 60_000, []),
        ("\udcff", []),
    ],
)
def test_a_list_is_one_by_itself_or_of_temperatures(answer: str, entries: list[Any]) -> None:
    assert listed(answer.encode("utf-8", "surrogateescape")) == entries


@pytest.mark.parametrize(
    ("entry", "same"),
    [
        (ITEM, True),
        ({**ITEM, "received": 7}, True),
        ({**ITEM, "sensor": "attic"}, False),
        ({**ITEM, "device": "another"}, False),
        ({**ITEM, "seq": 7}, False),
        ({**ITEM, "time": "2026-11-23T09:14:23Z"}, False),
        ({**ITEM, "temperature": "21.438"}, False),
        ({**ITEM, "temperature": 21.437}, False),
        ({}, False),
        (None, False),
        (7, False),
    ],
)
def test_an_entry_is_the_reading_by_all_fields_that_the_agent_may_send(entry: Any, same: bool) -> None:
    assert is_same(entry, BODY) is same


def test_an_entry_must_have_the_extra_fields_too() -> None:
    body = BODY[:-1] + b', "seq": 7, "device": "ours"}'
    assert not is_same(ITEM, body)
    assert not is_same({**ITEM, "seq": 7, "device": "another"}, body)
    assert is_same({**ITEM, "seq": 7, "device": "ours"}, body)
    assert (names_device(body), names_device(BODY)) == (True, False)


def test_each_entry_is_taken_once() -> None:
    entries = [ITEM, 7, dict(ITEM)]
    assert [take(entries, BODY) for _ in range(3)] == [True, True, False]
    assert entries == [7]


@pytest.mark.parametrize(
    ("entry", "utc"),
    [
        (ITEM, 1_795_425_262),
        ({"time": "2026-11-23T09:14:22"}, None),
        ({"time": "yesterday"}, None),
        ({"time": 7}, None),
        ({}, None),
        (None, None),
        ([], None),
        ("time", None),
    ],
)
def test_the_second_of_an_entry_is_told_where_it_has_one(entry: Any, utc: int | None) -> None:
    assert second(entry) == utc
