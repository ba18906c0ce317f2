"""Power cuts at every moment of the spool's life: nothing stored is lost, nothing is corrupt.

A few here; `make powercuts-simulated` makes ten thousand and prints the table.
"""

import shutil
from pathlib import Path

import pytest
from power.lives import BEGINNINGS
from power.survey import SEED, recording, survive

CUTS = 80

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None, reason="a power cut is cut out of a recording by strace, which is not installed"
)


@pytest.mark.parametrize("collateral", [False, True], ids=["torn sectors", "4 KiB lost"])
@pytest.mark.parametrize("life", BEGINNINGS)
def test_a_power_cut_loses_and_corrupts_nothing(tmp_path: Path, life: str, collateral: bool) -> None:
    tally = survive(recording(life, "ours", tmp_path), SEED, CUTS, collateral=collateral)
    assert (tally.cuts, tally.lost, tally.corrupt) == (CUTS, 0, 0), tally.complaints


@pytest.mark.parametrize(
    ("settings", "collateral"),
    [("synchronous=NORMAL", False), ("SQLite's default journal", False), ("psow=1", True)],
)
def test_the_harness_sees_what_other_settings_lose(tmp_path: Path, settings: str, collateral: bool) -> None:
    tally = survive(recording("from nothing", settings, tmp_path), SEED, CUTS, collateral=collateral)
    assert tally.lost + tally.corrupt > 0
