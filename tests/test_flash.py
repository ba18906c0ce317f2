"""Bytes written to flash: counted for real, by the day, and no rate is told of a moment."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.clock import Stamp
from agent.flash import CARD_BYTES, COUNTERS, JOURNAL_BYTES, Flash, written

NOON = 1_795_046_400.0 + 43_200


def after(*counts: tuple[float, int | None]) -> Flash:
    """Counts of bytes, each so many hours after noon."""
    flash = Flash()
    for hours, total in counts:
        flash = flash.after(total, Stamp(NOON + hours * 3600, 100 + hours * 3600, trusted=True))
    return flash


@pytest.mark.parametrize(
    ("counts", "today", "since", "year"),
    [
        ([], None, None, None),
        ([(0, None)], None, None, None),
        ([(0, 1000)], 0, "2026-11-19T12:00:00Z", None),
        ([(0, 1000), (0.9, 3000)], 2000, "2026-11-19T12:00:00Z", None),
        ([(0, 1000), (1, 3000)], 2000, "2026-11-19T12:00:00Z", 2000 * 24 * 365.25),
        ([(0, 1000), (11, 3000), (13, 4000)], 1000, "2026-11-20T00:00:00Z", round(3000 / 13 * 24 * 365.25)),
        ([(0, 1000), (1, 3000), (2, None)], 2000, "2026-11-19T12:00:00Z", 2000 * 24 * 365.25),
    ],
)
def test_today_begins_at_midnight_and_the_rate_needs_an_hour(
    counts: Sequence[tuple[float, int | None]], today: int | None, since: str | None, year: float | None
) -> None:
    facts = after(*counts).facts()
    found = (facts["flash_bytes_today"], facts["flash_today_since"], facts["flash_bytes_per_year"])
    assert found == (today, since, year)
    assert facts["flash_card_years"] == (year and round(CARD_BYTES / year, 1))


def test_what_is_written_and_synced_is_counted() -> None:
    before = written(0)
    if before is None:
        pytest.skip("this kernel does not count a process's bytes")
    file = Path(f"/var/tmp/flash-{os.getpid()}")  # a disk; the scratch directory may be a tmpfs
    try:
        with file.open("wb") as out:
            out.write(bytes(1 << 20))
            os.fsync(out.fileno())
    finally:
        file.unlink()
    after_it = written(3)
    assert after_it is not None
    assert after_it - before - 3 * JOURNAL_BYTES in range(1 << 20, 3 << 20)


def test_a_kernel_that_does_not_count_gives_nothing(tmp_path: Path) -> None:
    assert written(1, tmp_path / "absent") is None
    (tmp_path / "io").write_text("rchar: 1\n")
    assert written(1, tmp_path / "io") is None
    assert COUNTERS.name == "io"
