"""Bytes written to flash: counted for real, by the day, and no rate is told of a moment."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from world.rig import Rig

from agent.clock import Stamp
from agent.flash import CARD_BYTES, COUNTERS, JOURNAL_BYTES, Flash, resumed, written

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


def resumed_at(hours: float, **said: object) -> tuple[int | None, str | None]:
    """What a daemon says that begins so many hours after noon, after one that said so, and has written 500 bytes."""
    stamp = Stamp(NOON + hours * 3600, 100, trusted=True)
    flash = resumed({"spool": said}).after(7000, stamp).after(7500, stamp)
    facts = flash.facts()
    return facts["flash_bytes_today"], facts["flash_today_since"]


def test_a_restart_keeps_the_day() -> None:
    morning = {"flash_bytes_today": 3000, "flash_today_since": "2026-11-19T06:00:00Z"}
    assert resumed_at(1, **morning) == (3500, "2026-11-19T06:00:00Z")
    assert resumed_at(13, **morning) == (500, "2026-11-20T01:00:00Z")
    assert resumed_at(-7, **morning) == (500, "2026-11-19T05:00:00Z")  # the clock was set back


def test_a_day_that_was_resumed_ends_at_midnight() -> None:
    flash = resumed({"spool": {"flash_bytes_today": 3000, "flash_today_since": "2026-11-19T06:00:00Z"}})
    for hours, total in ((1, 7000), (11, 7500), (13, 7600)):
        flash = flash.after(total, Stamp(NOON + hours * 3600, hours * 3600, trusted=True))
    facts = flash.facts()
    assert (facts["flash_bytes_today"], facts["flash_today_since"]) == (100, "2026-11-20T00:00:00Z")


@pytest.mark.parametrize(
    "said", [{}, {"spool": {}}, {"spool": None}, {"spool": {"flash_bytes_today": None, "flash_today_since": None}}]
)
def test_a_status_without_a_count_begins_anew(said: dict[str, Any]) -> None:
    assert resumed(said) == Flash()


def test_a_daemon_goes_on_counting_where_the_one_before_ended(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        first = rig.start()
        rig.until(lambda: rig.status().get("spool", {}).get("flash_bytes_today"))
        rig.stop(first)
        before = rig.status()["spool"]
        rig.start()
        rig.until(lambda: rig.status()["state"] != "stopped")
        after_it = rig.status()["spool"]
    assert after_it["flash_today_since"] == before["flash_today_since"]
    assert after_it["flash_bytes_today"] >= before["flash_bytes_today"]


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
