"""How the benches print: a title, a table that is Markdown and lines up in a terminal, and one line for the machine."""

import os
import platform
import sqlite3
import ssl
from collections.abc import Iterable, Sequence
from pathlib import Path


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """The first column to the left, all others to the right; None is a dash."""
    cells = [list(columns), *(["–" if cell is None else str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    print(f"\n### {title}\n")
    print(_line(cells[0], widths))
    print(
        "|" + "|".join(("-" * (width + 1) + ("-" if place == 0 else ":")) for place, width in enumerate(widths)) + "|"
    )
    for row in cells[1:]:
        print(_line(row, widths))
    print(flush=True)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "| " + " | ".join(padded) + " |"


def figure(value: float | None, places: int = 0) -> str | None:
    """The number with thousands apart; a dash where there is none."""
    return None if value is None else f"{value:,.{places}f}"


def machine() -> None:
    """What the figures were taken on, and how busy it was."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith(("model name", "Model"))
        ),
        platform.machine(),
    )
    print(
        f"machine: {os.cpu_count()} cores of {model}, Linux {platform.release()}, Python {platform.python_version()},"
        f" {' '.join(ssl.OPENSSL_VERSION.split()[:2])}, SQLite {sqlite3.sqlite_version}, load {os.getloadavg()[0]:.1f}"
    )
