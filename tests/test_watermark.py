"""The few bytes that make each acknowledgement survive a killed process."""

from pathlib import Path

import pytest

from agent.spool.watermark import Watermark


def test_it_is_read_back(tmp_path: Path) -> None:
    mark = Watermark(tmp_path / "mark", 7)
    mark.write(41)
    mark.write(42)
    assert Watermark(tmp_path / "mark", 7).seq == 42


def test_nothing_is_known_at_first(tmp_path: Path) -> None:
    assert Watermark(tmp_path / "mark", 7).seq == 0


def test_without_a_path_nothing_is_kept() -> None:
    mark = Watermark(None, 7)
    mark.write(3)
    assert mark.seq == 0


def test_that_of_another_spool_is_ignored(tmp_path: Path) -> None:
    Watermark(tmp_path / "mark", 7).write(42)
    assert Watermark(tmp_path / "mark", 8).seq == 0


@pytest.mark.parametrize("length", range(20))
def test_a_torn_one_is_ignored(tmp_path: Path, length: int) -> None:
    Watermark(tmp_path / "mark", 7).write(42)
    whole = (tmp_path / "mark").read_bytes()
    (tmp_path / "mark").write_bytes(whole[:length])
    assert Watermark(tmp_path / "mark", 7).seq == 0


@pytest.mark.parametrize("place", range(20))
def test_a_flipped_bit_is_noticed(tmp_path: Path, place: int) -> None:
    Watermark(tmp_path / "mark", 7).write(42)
    data = bytearray((tmp_path / "mark").read_bytes())
    data[place] ^= 4
    (tmp_path / "mark").write_bytes(data)
    assert Watermark(tmp_path / "mark", 7).seq == 0


def test_others_cannot_write_it(tmp_path: Path) -> None:
    Watermark(tmp_path / "run" / "mark", 7)
    assert (tmp_path / "run" / "mark").stat().st_mode & 0o077 == 0


def test_a_place_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    mark = Watermark(tmp_path / "file" / "mark", 7)
    mark.write(3)
    mark.close()
    assert mark.seq == 0
