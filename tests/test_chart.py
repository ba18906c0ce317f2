"""Charts: what is drawn, and above all what is not drawn over."""

import re
import xml.etree.ElementTree as ET

import pytest

from agent.chart import Hole, Series, axis, svg, terminal
from agent.chart.csv_text import record
from agent.chart.series import UNKNOWN, Point, made

START = 1_795_046_400  # midnight


def points(*minutes: int, celsius: float = 20.0) -> list[Point]:
    return [(START + minute * 60, celsius) for minute in minutes]


def holes(seconds: list[int], *reasons: tuple[int, int]) -> list[tuple[int, int, str]]:
    """The holes found between points, in minutes."""
    told = [Hole(START + since * 60, START + until * 60, "absent", 1) for since, until in reasons]
    series = made("a", points(*seconds), told, since=START, until=START + 6000)
    return [((hole.since - START) // 60, (hole.until - START) // 60, hole.why) for hole in series.holes]


@pytest.mark.parametrize(
    ("minutes", "reasons", "expected"),
    [
        ([*range(20)], [], []),
        ([*range(10), *range(40, 50)], [], [(9, 40, UNKNOWN)]),
        ([*range(10), *range(40, 50)], [(10, 39)], [(9, 40, "absent")]),
        ([*range(10), *range(40, 50)], [(10, 20), (30, 39)], [(9, 40, "absent")]),
        ([*range(10), *range(12, 20)], [], []),  # one late reading is no hole
        ([*range(10), *range(12, 20)], [(10, 11)], [(9, 12, "absent")]),
        ([*range(0, 100, 10), *range(100, 120)], [], []),  # where thinned and whole readings meet
        ([*range(0, 50, 10), *range(60, 100, 10)], [(45, 46)], [(40, 60, "absent")]),
        ([*range(0, 100, 10)], [(45, 46)], []),  # a miss between two thinned readings hides nothing
        ([*range(10)], [(10, 30)], [(9, 30, "absent")]),
        ([*range(10, 20)], [(0, 9)], [(0, 10, "absent")]),
        ([], [(0, 9)], [(0, 9, "absent")]),
        ([], [], []),
        ([5], [], []),
    ],
)
def test_holes_are_found_between_before_and_after_points(
    minutes: list[int], reasons: list[tuple[int, int]], expected: list[tuple[int, int, str]]
) -> None:
    assert holes(minutes, *reasons) == expected


def test_the_line_breaks_at_each_hole() -> None:
    series = made("a", points(*range(10), *range(40, 50), *range(80, 90)), [], since=START, until=START + 6000)
    assert [len(run) for run in series.runs()] == [10, 10, 10]
    assert list(Series("a", ()).runs()) == []


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (-19.5, -16.3, 4, [-19.0, -18.0, -17.0]),
        (0.0, 10.0, 3, [0.0, 5.0, 10.0]),
        (20.95, 21.05, 4, [20.95, 21.0, 21.05]),
        (-1000.0, 3000.0, 5, [-1000.0, 0.0, 1000.0, 2000.0, 3000.0]),
    ],
)
def test_marks_are_round_and_not_too_many(low: float, high: float, most: int, expected: list[float]) -> None:
    assert axis.celsius_marks(low, high, most) == expected


@pytest.mark.parametrize("stretch", [60, 3600, 86_400, 7 * 86_400, 365 * 86_400, 20 * 365 * 86_400])
def test_times_are_round_and_within_the_stretch(stretch: int) -> None:
    found = axis.time_marks(START + 7, START + 7 + stretch, 6)
    assert len(found) <= 6
    assert all(START + 7 <= mark <= START + 7 + stretch and mark % 60 == 0 for mark in found)


@pytest.mark.parametrize(
    ("celsius", "text"), [(0.0, "0"), (-0.0, "0"), (-17.5, "-17.5"), (20.96, "20.96"), (100, "100")]
)
def test_marks_say_what_they_mean(celsius: float, text: str) -> None:
    assert axis.celsius_text(celsius) == text


def drawn(minutes: list[int], *, fine: bool = False, width: int = 40) -> list[str]:
    series = made("a", [(START + m * 60, 20 + m / 10) for m in minutes], [], since=START, until=START + 3600)
    return terminal.draw(series, since=START, until=START + 3600, width=width, height=4, fine=fine).splitlines()


def test_a_rising_line_is_drawn_rising() -> None:
    rows = [line[10:] for line in drawn([*range(60)])[1:5]]
    assert [row.strip() != "" for row in rows] == [True] * 4
    assert [row.index("*") for row in rows] == sorted((row.index("*") for row in rows), reverse=True)


def test_nothing_is_drawn_in_a_hole_and_the_axis_numbers_it() -> None:
    lines = drawn([*range(20), *range(40, 60)])
    columns = [place for place, sign in enumerate(lines[5]) if sign == "1"]
    assert len(columns) >= 8
    assert all(line[place : place + 1] in {"", " "} for line in lines[1:5] for place in columns)
    assert lines[-1] == f"  1 2026-11-19 00:19 - 00:40  {UNKNOWN}"


@pytest.mark.parametrize("fine", [True, False])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_chart_keeps_its_width_and_its_letters(fine: bool, width: int) -> None:
    text = "\n".join(drawn([*range(60)], fine=fine, width=width))
    assert max(map(len, text.splitlines())) <= width
    assert text.isascii() is not fine


def test_one_point_none_and_a_sensor_at_rest_can_be_drawn() -> None:
    for minutes in ([], [5], [5, 6]):
        series = made("a", points(*minutes), [], since=START, until=START + 3600)
        assert "a" in terminal.draw(series, since=START, until=START + 3600)
        assert "a" in svg.draw([series], since=START, until=START + 3600)


def picture(*series: Series) -> str:
    return svg.draw(series, since=START, until=START + 86_400)


def test_a_picture_is_well_formed_whatever_a_sensor_is_called() -> None:
    text = picture(made('<a href="x">&\'', points(1, 2), [], since=START, until=START + 86_400))
    names = [each.text for each in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    assert names[0] == '<a href="x">&\''


def test_a_picture_breaks_its_line_at_a_hole_and_explains_it() -> None:
    reason = Hole(START + 11 * 60, START + 39 * 60, "sensor absent", 29)
    text = picture(made("a", points(*range(10), *range(40, 50)), [reason], since=START, until=START + 86_400))
    assert text.count("<polyline") == 2
    assert text.count("sensor absent, 29 readings") == 2  # when pointed at, and in the legend


def test_a_picture_of_many_readings_stays_small_and_keeps_the_extremes() -> None:
    many = [(START + second, 20.0) for second in range(0, 86_400, 2)]
    many[20_000] = (many[20_000][0], 45.0)
    text = picture(made("a", many, [], since=START, until=START + 86_400))
    assert len(text) < 40_000
    heights = [float(y) for y in re.findall(r",([0-9.]+)[ \"]", text)]
    assert max(heights) - min(heights) > 100


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (("a", 1, None, 2.5), "a,1,,2.5\r\n"),
        (('say "no"', "x,y", "two\nlines"), '"say ""no""","x,y","two\nlines"\r\n'),
        ((), "\r\n"),
    ],
)
def test_records_follow_rfc_4180(fields: tuple[object, ...], line: str) -> None:
    assert record(fields) == line
