"""JSON and dates as V8 has them; where node is installed, V8 itself is asked."""

import json
import math
import random
import re
import shutil
import subprocess

import pytest

from agent.devshield import javascript


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (36.70, "36.7"),
        (1e21, "1e+21"),
        (123456789012345680000.0, "123456789012345680000"),
        (9223372036854775808.0, "9223372036854776000"),
        (0.000001, "0.000001"),
        (-0.0000123, "-0.0000123"),
        (1.5e-7, "1.5e-7"),
        (math.inf, "null"),
        ("é\n\ud800", '"é\\n\\ud800"'),
        ({"b": 1.0, "10": True, "2": None}, '{"2":null,"10":true,"b":1}'),
        ([[], {}], "[[],{}]"),
    ],
)
def test_stringify_writes_what_javascript_writes(value: object, text: str) -> None:
    assert javascript.stringify(value) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-02T03:04:05Z", 1767323045.0),
        ("2026-01-02T03:04:05.123456Z", 1767323045.123),
        ("2026-01-02T03:04:05+02:00", 1767315845.0),
        ("2026-01-02T03:04:05", 1767323045.0),
        ("2026-01-02 03:04:05", 1767323045.0),
        ("2026-02-30T00:00:00Z", 1772409600.0),
        ("2026-01-02T24:00:00Z", 1767398400.0),
        ("Fri, 02 Jan 2026 09:14:22 GMT", 1767345262.0),
        (2026.0, 1767225600.0),
    ],
)
def test_date_reads_what_date_parse_reads(text: object, seconds: float) -> None:
    assert javascript.date(text) == seconds * 1000


@pytest.mark.parametrize(
    "text",
    ["20260101T000000Z", "2026-01-02T03:04:05+00:00Z", "2026-01-02T03:04:60Z", "yesterday-ish", 1767323045.0, {}, None],
)
def test_date_of_what_date_parse_refuses_is_nan(text: object) -> None:
    assert math.isnan(javascript.date(text))


def test_parse_of_a_deep_nest_is_a_range_error() -> None:
    with pytest.raises(ValueError, match="RangeError"):
        javascript.parse("[" * 100_000 + "]" * 100_000)


@pytest.mark.skipif(shutil.which("node") is None, reason="V8 is asked through node")
def test_parse_agrees_with_v8_on_damaged_texts() -> None:
    texts = damaged(random.Random(20261125), 800)
    script = """
        const words = text => { try { return JSON.stringify(JSON.parse(text)) } catch (error) { return String(error) } }
        const texts = JSON.parse(require("fs").readFileSync(0, "utf8"))
        process.stdout.write(JSON.stringify(texts.map(words)))
    """
    asked = subprocess.run(["node", "-e", script], input=json.dumps(texts), capture_output=True, text=True, check=True)
    for text, words in zip(texts, json.loads(asked.stdout), strict=True):
        ours = without_place(outcome(text))
        assert ours == without_place(words) or ("Expected ':'" in ours and words.startswith("Syntax")), f"of {text!r}"


def outcome(text: str) -> str:
    try:
        return javascript.stringify(javascript.parse(text))
    except ValueError as error:
        return str(error)


def without_place(words: str) -> str:
    """V8 11.3 says no line and column, and has no words for a missing colon after the first property."""
    return re.sub(r" \(line \d+ column \d+\)$", "", words)


def damaged(dice: random.Random, count: int) -> list[str]:
    whole = [
        '{"temperature": NaN, "time": "2026-11-23T09:14:22Z"}',
        '{"temperature": "21.5", "x": [1, 2.50, -0, 1e21, 1.5e-7, true, null, "a\\u00e9\\n"]}',
        '{"b": 1, "10": 2, "2": {}}',
        "-12.5e+3",
        "null",
    ]
    letters = '{}[],:"\\0123456789.eE+-tfnulrasNI \n\t\x01€'
    texts = []
    for _ in range(count):
        text = dice.choice(whole)
        for _ in range(dice.randint(1, 3)):
            place = dice.randrange(len(text) + 1)
            text = dice.choice(
                [text[:place] + text[place + 1 :], text[:place] + dice.choice(letters) + text[place:], text[:place]]
            )
        texts.append(text)
    return texts
