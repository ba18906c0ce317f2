"""A chart of characters: braille dots where the terminal has Unicode, stars where it has not; no colour needed."""

from collections.abc import Iterator
from typing import Final

from agent.chart import axis
from agent.chart.series import Hole, Series
from agent.reading import counted

MARGIN: Final = 9  # characters before the picture
NUMBERED: Final = 9  # holes with a digit on the axis, the longest
BRAILLE: Final = 0x2800
DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # by row and column of a cell, Unicode 10-1

Dots = set[tuple[int, int]]


def draw(series: Series, *, since: int, until: int, width: int = 80, height: int = 8, fine: bool = True) -> str:
    """The sensor's chart, lines of at most `width` characters; `fine` with braille and lines, else ASCII."""
    degree, line, corner = (" °C", "─", "└") if fine else (" C", "-", "+")
    if not series.points:
        return f"{series.sensor}: nothing known\n" + "".join(_legend(series.holes, fine=fine))
    values = [celsius for _, celsius in series.points]
    last, celsius = series.points[-1]
    span, dash = (min(values), max(values)), "…" if fine else ".."
    head = f"{series.sensor}  {celsius:.3f}{degree} at {axis.moment_text(last)} UTC"
    head += f"  ({span[0]:.3f} {dash} {span[1]:.3f})"
    columns = width - MARGIN - 1
    low, high = axis.span(*span)
    marks = {_row(mark, low, high, height): axis.celsius_text(mark) for mark in axis.celsius_marks(low, high, 4)}
    across, down = (2 * columns, 4 * height) if fine else (columns, height)
    dots = _dots(series, (across, down), (since, until), (low, high))
    rows = [
        f"{marks.get(row, ''):>{MARGIN - 1}} {'┤' if fine and row in marks else '│' if fine else '|'}"
        + "".join(_cell(dots, column, row, fine=fine) for column in range(columns))
        for row in range(height)
    ]
    shown = sorted(sorted(series.holes, key=lambda hole: hole.since - hole.until)[:NUMBERED], key=lambda h: h.since)
    ground = [line] * columns
    for number, hole in enumerate(shown, start=1):
        first, final = (_place(at, since, until, columns) for at in (hole.since, hole.until))
        ground[first + (final > first + 1) : max(final, first + 1)] = str(number) * (
            max(final, first + 1) - first - (final > first + 1)
        )
    rows.append(" " * MARGIN + corner + "".join(ground))
    rows.append(_times(since, until, columns))
    more = len(series.holes) - len(shown)
    text = "\n".join(row.rstrip()[:width] for row in (head, *rows)) + "\n" + "".join(_legend(shown, fine=fine))
    return text + (f"  and {more} shorter gaps: --gaps lists them all\n" if more else "")


def _dots(series: Series, size: tuple[int, int], time: tuple[int, int], celsius: tuple[float, float]) -> Dots:
    """The picture, `size` dots across and down, of these seconds and temperatures."""
    dots: Dots = set()
    for run in series.runs():
        before: tuple[int, int] | None = None
        for second, value in run:
            at = (_place(second, *time, size[0]), _row(value, *celsius, size[1]))
            dots.update(_line(before or at, at))
            before = at
    return dots


def _line(begin: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """The dots from one to the other."""
    steps = max(abs(end[0] - begin[0]), abs(end[1] - begin[1]), 1)
    for step in range(steps + 1):
        yield tuple(round(a + (b - a) * step / steps) for a, b in zip(begin, end, strict=True))  # type: ignore[misc]


def _cell(dots: Dots, column: int, row: int, *, fine: bool) -> str:
    if not fine:
        return "*" if (column, row) in dots else " "
    bits = sum(
        bit
        for down, pair in enumerate(DOTS)
        for right, bit in enumerate(pair)
        if (2 * column + right, 4 * row + down) in dots
    )
    return chr(BRAILLE + bits) if bits else " "


def _place(second: int, since: int, until: int, columns: int) -> int:
    return min(max((second - since) * columns // max(until - since, 1), 0), columns - 1)


def _row(celsius: float, low: float, high: float, rows: int) -> int:
    return min(int((high - celsius) / (high - low) * rows), rows - 1)


def _times(since: int, until: int, columns: int) -> str:
    text = " " * (MARGIN + 1)
    for mark in axis.time_marks(since, until, columns // 11):
        at = MARGIN + 1 + _place(mark, since, until, columns)
        said = axis.time_text(mark, stretch=until - since)
        if at + len(said) <= MARGIN + 1 + columns:
            text = text.ljust(at) + said
    return text.ljust(MARGIN + 1 + columns - 3) + "UTC" if len(text) < MARGIN + columns - 3 else text


def _legend(holes: "tuple[Hole, ...] | list[Hole]", *, fine: bool) -> Iterator[str]:
    for number, hole in enumerate(holes[:NUMBERED], start=1):
        missing = f", {counted(hole.count)}" if hole.count else ""
        dash = " – " if fine else " - "
        yield f"  {number} {dash.join(axis.stretch_text(hole.since, hole.until).split(' to '))}  {hole.why}{missing}\n"
