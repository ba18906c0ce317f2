"""A picture for a browser: one SVG file that needs nothing else, light or dark as its reader likes it."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from agent.chart import axis
from agent.chart.series import Hole, Point, Series
from agent.reading import counted

WIDTH: Final = 800
LEFT, RIGHT, TOP, PLOT, FOOT = 64, 16, 34, 130, 30  # pixels around and of one sensor's picture
LEGEND: Final = 16  # a line of it
LISTED: Final = 5  # holes in the legend, the longest; the others say it when pointed at
# plain colours first, without variables: viewers that are no browsers know neither those nor the dark half
STYLE: Final = """
  svg { font: 12px system-ui, sans-serif } text { fill: #59636e } .name { fill: #1f2328; font-weight: 600 }
  .paper { fill: #ffffff } .rule { stroke: #d1d9e0; stroke-width: 1 }
  .line { fill: none; stroke: #0969da; stroke-width: 1.5; stroke-linejoin: round } .dot { fill: #0969da }
  .hole { fill: #bf8700; fill-opacity: .18 } .edge { stroke: #bf8700; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } text { fill: #9198a1 } .name { fill: #f0f6fc } .rule { stroke: #3d444d }
    .line { stroke: #4493f8 } .dot { fill: #4493f8 } .hole { fill: #d29922 } .edge { stroke: #d29922 } }
"""


def draw(every: Sequence[Series], *, since: int, until: int) -> str:
    """The sensors' pictures below each other, over the same UTC seconds."""
    heights = [TOP + PLOT + FOOT + LEGEND * min(len(series.holes), LISTED + 1) for series in every]
    height = sum(heights) + 8
    title = f"Temperatures, {axis.stretch_text(since, until)} UTC"
    panels = [
        f'<g transform="translate(0 {sum(heights[:place])})">\n{"".join(_panel(series, since, until))}</g>\n'
        for place, series in enumerate(every)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img">\n<title>{escape(title)}</title>\n<style>{STYLE}</style>\n'
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>\n{"".join(panels)}</svg>\n'
    )


def _panel(series: Series, since: int, until: int) -> Iterator[str]:
    values = [celsius for _, celsius in series.points]
    low, high = axis.span(min(values, default=0.0), max(values, default=1.0))
    room = (high - low) * 0.06
    low, high = low - room, high + room
    across = WIDTH - LEFT - RIGHT
    bottom = TOP + PLOT

    def x(second: float) -> float:
        return round(LEFT + (min(max(second, since), until) - since) / max(until - since, 1) * across, 1)

    def y(celsius: float) -> float:
        return round(TOP + (high - celsius) / (high - low) * PLOT, 1)

    yield f'<text class="name" x="{LEFT}" y="22">{escape(series.sensor)}</text>\n'
    said = "nothing known"
    if series.points:
        second, last = series.points[-1]
        said = f"{last:.3f} °C at {axis.moment_text(second)} UTC, {min(values):.3f} to {max(values):.3f} °C"
    yield f'<text x="{WIDTH - RIGHT}" y="22" text-anchor="end">{said}</text>\n'
    for mark in axis.celsius_marks(low, high, 5) if values else ():
        yield f'<path class="rule" d="M{LEFT} {y(mark)}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 6}" y="{y(mark) + 4}" text-anchor="end">{axis.celsius_text(mark)} °C</text>\n'
    for at in axis.time_marks(since, until, 9):
        yield f'<path class="rule" d="M{x(at)} {bottom}v5"/><text x="{x(at)}" y="{bottom + 18}" text-anchor="middle">'
        yield f"{axis.time_text(at, stretch=until - since)}</text>\n"
    for hole in series.holes:
        width = max(x(hole.until) - x(hole.since), 1.5)
        yield f'<rect class="hole" x="{x(hole.since)}" y="{TOP}" width="{width:.1f}" height="{PLOT}">'
        yield f"<title>{escape(_told(hole))}</title></rect>"
        yield f'<path class="edge" d="M{x(hole.since)} {bottom}h{width:.1f}"/>\n'
    yield f'<path class="rule" d="M{LEFT} {bottom}H{WIDTH - RIGHT}"/>\n'
    for run in series.runs():
        dots = [(x(second), y(celsius)) for second, celsius in _envelope(run, (until - since) / across)]
        if len(dots) == 1:
            yield f'<circle class="dot" cx="{dots[0][0]}" cy="{dots[0][1]}" r="2"/>\n'
        else:
            yield f'<polyline class="line" points="{" ".join(f"{a},{b}" for a, b in dots)}"/>\n'
    yield from _legend(series.holes, bottom + FOOT)


def _envelope(run: Sequence[Point], seconds: float) -> list[Point]:
    """The lowest and highest of each stretch of so many seconds, by time: what a pixel's column can show."""
    if len(run) * seconds < run[-1][0] - run[0][0] + seconds:
        return list(run)
    stretches: dict[int, list[Point]] = {}
    for point in run:
        kept = stretches.setdefault(int(point[0] // seconds), [point, point])
        kept[:] = [min(kept[0], point, key=lambda at: at[1]), max(kept[1], point, key=lambda at: at[1])]
    return [point for kept in stretches.values() for point in sorted(set(kept))]


def _legend(holes: Sequence[Hole], top: int) -> Iterator[str]:
    listed = sorted(sorted(holes, key=lambda hole: hole.since - hole.until)[:LISTED], key=lambda hole: hole.since)
    lines = [_told(hole) for hole in listed]
    if len(holes) > LISTED:
        lines.append(f"and {len(holes) - LISTED} shorter gaps")
    for number, line in enumerate(lines):
        at = top + number * LEGEND
        yield f'<rect class="hole" x="{LEFT}" y="{at - 2}" width="10" height="10"/>'
        yield f'<text x="{LEFT + 16}" y="{at + 7}">{escape(line)}</text>\n'


def _told(hole: Hole) -> str:
    missing = f", {counted(hole.count)}" if hole.count else ""
    return f"{axis.stretch_text(hole.since, hole.until)} UTC: {hole.why}{missing}"
