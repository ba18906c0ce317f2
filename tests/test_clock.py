"""The time of day and its trust, under a tree that stands for /run and /proc."""

from pathlib import Path

import pytest

from agent import BUILD_EPOCH
from agent.clock import BOOT_ID, SEEN, SYNCHRONISED, Clock, Stamp, kernel_says_synchronised


def clock_under(root: Path, *, trust_any: bool = False) -> Clock:
    return Clock(root, trust_any=trust_any, wall=lambda: 1_795_000_000.5, since_boot=lambda: 42.25)


def synchronise(root: Path) -> None:
    (root / SYNCHRONISED).parent.mkdir(parents=True)
    (root / SYNCHRONISED).touch()


def test_a_stamp_has_both_times(tmp_path: Path) -> None:
    assert clock_under(tmp_path).stamp() == Stamp(1_795_000_000.5, 42.25, trusted=False)


def test_the_clock_is_trusted_once_a_time_daemon_has_set_it(tmp_path: Path) -> None:
    clock = clock_under(tmp_path)
    assert not clock.stamp().trusted
    synchronise(tmp_path)
    assert clock.stamp().trusted


def test_the_clock_is_trusted_where_the_kernel_was_asked_by_another_service(tmp_path: Path) -> None:
    (tmp_path / SEEN).parent.mkdir(parents=True)
    (tmp_path / SEEN).touch()

    assert clock_under(tmp_path).stamp().trusted


def test_trust_stays_when_the_file_goes(tmp_path: Path) -> None:
    synchronise(tmp_path)
    clock = clock_under(tmp_path)
    assert clock.synchronised
    (tmp_path / SYNCHRONISED).unlink()
    assert clock.synchronised


def test_any_clock_may_be_trusted_without_being_called_synchronised(tmp_path: Path) -> None:
    clock = clock_under(tmp_path, trust_any=True)
    assert clock.stamp().trusted
    assert not clock.synchronised


@pytest.mark.parametrize("trust_any", [True, False])
def test_a_time_from_before_the_package_was_made_is_never_trusted(tmp_path: Path, trust_any: bool) -> None:
    synchronise(tmp_path)
    wall = [BUILD_EPOCH - 1.0]
    clock = Clock(tmp_path, trust_any=trust_any, wall=lambda: wall[0], since_boot=lambda: 42.25)
    assert not clock.stamp().trusted
    wall[0] += 1
    assert clock.stamp().trusted


def test_the_boot_is_named_by_the_kernel(tmp_path: Path) -> None:
    (tmp_path / BOOT_ID).parent.mkdir(parents=True)
    (tmp_path / BOOT_ID).write_text("8b6f6c1e-0c7b-4d52-9a53-52f6f4f7e1aa\n")
    assert clock_under(tmp_path).boot_id == "8b6f6c1e0c7b4d529a5352f6f4f7e1aa"


def test_the_boot_has_one_name_whether_the_kernel_or_systemd_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOT_ID", "8b6f6c1e0c7b4d529a5352f6f4f7e1aa")  # the unit's %b, where /proc is hidden
    hidden = clock_under(tmp_path).boot_id
    (tmp_path / BOOT_ID).parent.mkdir(parents=True)
    (tmp_path / BOOT_ID).write_text("8b6f6c1e-0c7b-4d52-9a53-52f6f4f7e1aa\n")
    assert clock_under(tmp_path).boot_id == hidden


def test_without_proc_the_process_stands_for_the_boot(tmp_path: Path) -> None:
    assert clock_under(tmp_path).boot_id


def test_a_real_clock_moves_on() -> None:
    clock = Clock()
    first, second = clock.stamp(), clock.stamp()
    assert second.boot_seconds > first.boot_seconds > 0


def test_the_kernel_can_be_asked() -> None:
    assert kernel_says_synchronised() in {True, False}
