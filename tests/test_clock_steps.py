"""The clock stepped for real, under the running daemon: a board that boots in the past, and a time daemon that mends it.

libfaketime stands between the process and its clock; CLOCK_BOOTTIME and CLOCK_MONOTONIC stay true, as on a board.
"""

import itertools
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from world.rig import FREEZER_TABLE, Rig

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


def seconds(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()


def shifted(file: Path, by: str) -> dict[str, str]:
    """The environment of a process whose clock is wrong by what the file says at the time."""
    file.write_text(by)
    return os.environ | {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")
@pytest.mark.parametrize("wrong_by", ["-20y", "+40d"])
def test_readings_of_a_clock_that_is_set_while_the_daemon_runs_are_stamped_right(tmp_path: Path, wrong_by: str) -> None:
    environ = shifted(tmp_path / "shift", wrong_by)
    with Rig(tmp_path, sensors=FREEZER_TABLE) as rig:
        synchronised = rig.board / "run/systemd/timesync/synchronized"
        synchronised.unlink()
        rig.enroll()
        begun = time.time()
        daemon = rig.start(environ=environ)
        rig.until(lambda: rig.status().get("clock", {}).get("held", 0) >= 2)
        assert rig.stored() == []
        held = rig.status()["clock"]["held"]
        (tmp_path / "shift").write_text("+0")
        synchronised.touch()
        rig.until(lambda: len(rig.stored()) >= held + 2)
        rig.stop(daemon)
        times = [seconds(body["time"]) for body in rig.bodies()]
    assert begun - 1 <= times[0] <= time.time()
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert all(1.0 <= gap <= 3.0 for gap in gaps), times


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")
def test_a_shield_whose_certificate_only_the_clock_refused_is_tried_once_the_clock_is_set(tmp_path: Path) -> None:
    with Rig(tmp_path, sensors=FREEZER_TABLE) as rig:
        rig.enroll()
        rig.config.write_text(rig.config.read_text().replace("max_backoff_seconds = 0.5", "max_backoff_seconds = 3600"))
        rig.stop_shield()
        daemon = rig.start()
        rig.until(lambda: rig.status().get("spool", {}).get("pending", 0) >= 1)
        rig.stop(daemon)
        rig.start_shield()
        (rig.board / "run/systemd/timesync/synchronized").unlink()
        rig.start(environ=shifted(tmp_path / "shift", "-20y"))
        rig.until(lambda: rig.line() == "misdirected")
        (tmp_path / "shift").write_text("+0")
        (rig.board / "run/systemd/timesync/synchronized").touch()
        rig.until(lambda: rig.line() == "online")
        assert rig.stored()
