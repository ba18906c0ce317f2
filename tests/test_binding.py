"""A certificate is for one board: what counts as the same, as moved, and as a copy."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from world.boards import put_board
from world.identities import put_pair

from agent.binding import Board, Match, bound_to, compare, differences
from agent.certificate import parse
from agent.device import board
from agent.identity import Identity, IdentityState, load

BOUND = Board("5e71a1", "ca4d", "3ac1de")


@pytest.mark.parametrize(
    ("here", "match"),
    [
        (BOUND, Match.SAME),
        (Board(), Match.SAME),
        (Board("5e71a1"), Match.SAME),
        (Board("", "ca4d", "3ac1de"), Match.SAME),
        (Board("0000", "ca4d", "3ac1de"), Match.MOVED),
        (Board("5e71a1", "0000", "3ac1de"), Match.MOVED),
        (Board("5e71a1", "ca4d", "0000"), Match.MOVED),
        (Board("5e71a1", "0000", "0000"), Match.MOVED),
        (Board("0000", "ca4d", "0000"), Match.MOVED),
        (Board("0000", "", "3ac1de"), Match.MOVED),
        (Board("0000", "0000", "0000"), Match.CLONED),
        (Board("0000", "0000", "3ac1de"), Match.CLONED),
        (Board("0000", "", "0000"), Match.CLONED),
        (Board("", "", "0000"), Match.CLONED),
    ],
)
def test_the_hardware_decides_and_what_is_not_known_says_nothing(here: Board, match: Match) -> None:
    assert compare(BOUND, here) is match


def test_a_pair_that_is_bound_to_no_board_is_good_on_any() -> None:
    assert compare(None, BOUND) is Match.SAME


def test_what_differs_is_said_in_words() -> None:
    assert differences(BOUND, Board("0", "ca4d", "0")) == "serial number, machine id"


@pytest.mark.parametrize("made_for", [BOUND, Board(), Board(machine="3ac1de")])
def test_the_line_is_read_back_and_no_pem_reader_minds_it(tmp_path: Path, made_for: Board) -> None:
    cert, key = put_pair(tmp_path)
    before = Path(cert).read_bytes()
    Path(cert).write_bytes(made_for.line() + before)
    assert bound_to(Path(cert).read_bytes()) == made_for
    assert parse(Path(cert).read_bytes()) == parse(before)
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key)


def test_a_file_without_the_line_is_bound_to_nothing(tmp_path: Path) -> None:
    cert, _ = put_pair(tmp_path)
    assert bound_to(Path(cert).read_bytes()) is None


def found_on(here: Board, directory: Path, *, made_for: Board) -> Identity:
    cert, key = put_pair(directory)
    Path(cert).write_bytes(made_for.line() + Path(cert).read_bytes())
    return load((cert, key), now=datetime.now(UTC), here=here)


def test_a_board_has_three_ids_and_shows_none_of_them(tmp_path: Path) -> None:
    put_board(tmp_path, serial="10000000abcdef01", card="1b534d454331515430", machine="0123456789abcdef" * 2)
    seen = board(tmp_path)
    assert len({seen.serial, seen.card, seen.machine}) == 3
    assert not [id_ for id_ in ("abcdef01", "534d4543", "01234567") if id_.encode() in seen.line()]
    assert seen == board(tmp_path)


def test_a_machine_id_of_this_boot_only_binds_nothing(tmp_path: Path) -> None:
    put_board(tmp_path, serial="1000abcd", machine="a" * 32)
    (tmp_path / "run").mkdir()
    for same in (False, True):
        (tmp_path / "run/machine-id").unlink(missing_ok=True)
        if same:  # what systemd mounts over it is the same file
            (tmp_path / "run/machine-id").hardlink_to(tmp_path / "etc/machine-id")
        else:
            (tmp_path / "run/machine-id").write_bytes((tmp_path / "etc/machine-id").read_bytes())
        assert (board(tmp_path).machine == "") is same
    assert board(tmp_path).serial


def test_the_copy_of_a_card_refuses_to_use_the_key_and_says_why(tmp_path: Path) -> None:
    for name, serial, card in (("old", "1000abcd", "aaaa"), ("new", "1000ef01", "bbbb")):
        put_board(tmp_path / name, serial=serial, card=card, machine="a" * 32)
    found = found_on(board(tmp_path / "new"), tmp_path, made_for=board(tmp_path / "old"))
    assert (found.state, found.pair) == (IdentityState.CLONED, None)
    assert "serial number, SD card differ" in found.detail
    assert found.fix == "sudo sensor-agent enroll, with a token of its own"


def test_a_card_in_another_board_is_used_and_noted(tmp_path: Path) -> None:
    for name, serial in (("old", "1000abcd"), ("new", "1000ef01")):
        put_board(tmp_path / name, serial=serial, card="aaaa", machine="a" * 32)
    found = found_on(board(tmp_path / "new"), tmp_path, made_for=board(tmp_path / "old"))
    assert (found.state, found.moved) == (IdentityState.ACTIVE, "serial number")
