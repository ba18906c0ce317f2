"""The installed agent, a process of its own, on hardware that umockdev plays: real paths, real smbus2, an unprivileged
user, and devices that refuse, vanish and return.
"""

import errno
import subprocess

import pytest

from agent.devshield.onewire_tree import frame_text, scratchpad

from .conftest import FREEZER, Board

pytestmark = pytest.mark.umockdev

FREEZER_TABLE = f"""
[[sensors]]
name = "freezer"
driver = "ds18b20"
id = "{FREEZER}"
interval_seconds = 1.0
"""
ROOM_TABLE = """
[[sensors]]
name = "room"
driver = "tmp102"
interval_seconds = 1.0
"""
AT_25 = {"00": "1900", "01": "60a0"}
AT_21_5 = {"00": "1580", "01": "60a0"}


def test_bus_is_the_character_device_that_linux_has(board: Board) -> None:
    command = ["umockdev-wrapper", "stat", "-c", "%F %Hr:%Lr", "/dev/i2c-1"]
    done = subprocess.run(command, env=board.environ, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "character special file 89:1"


def test_nobody_reads_both_buses(board: Board) -> None:
    board.hang(-18.0)
    board.chip(0x48, AT_25)
    taken = board.read(FREEZER_TABLE + ROOM_TABLE)
    assert {name: each["celsius"] for name, each in taken.items()} == {"freezer": -18.0, "room": 25.0}


def test_bus_is_used_by_transfers_that_carry_the_address_alone(board: Board) -> None:
    board.chip(0x48, AT_25)
    assert board.read(ROOM_TABLE)["room"]["celsius"] == 25.0
    assert board.order(refused=0) == "0"


@pytest.mark.parametrize(
    ("number", "error", "reason"),
    [
        (errno.EREMOTEIO, "absent", "absent: nothing answers at 0x48"),
        (errno.ENXIO, "absent", "absent: nothing answers at 0x48"),
        (errno.EBUSY, "misconfigured", "busy: 0x48 on i2c-1 is in use"),
        (errno.ETIMEDOUT, "unreadable", "bus_stuck: i2c-1 is held"),
        (errno.EIO, "unreadable", "io: 0x48 on i2c-1"),
    ],
    ids=["EREMOTEIO", "ENXIO", "EBUSY", "ETIMEDOUT", "EIO"],
)
def test_errno_of_the_bus_becomes_its_error(board: Board, number: int, error: str, reason: str) -> None:
    board.chip(0x48, number)
    taken = board.read(ROOM_TABLE)["room"]
    assert (taken["celsius"], taken["error"]) == (None, error)
    assert taken["reason"].startswith(reason)


def test_chip_that_a_kernel_driver_has_is_left_alone(board: Board) -> None:
    board.chip(0x48, AT_25)
    board.bind(0x48, "tmp102")
    taken = board.read(ROOM_TABLE)["room"]
    assert (taken["celsius"], taken["error"]) == (None, "misconfigured")
    assert 'use driver = "kernel", device = "1-0048"' in taken["reason"]


def test_bus_that_is_closed_to_the_user_names_the_way_in(board: Board) -> None:
    board.chip(0x48, AT_25)
    board.order(mode=0o600)
    taken = board.read(ROOM_TABLE)["room"]
    assert (taken["celsius"], taken["error"]) == (None, "misconfigured")
    assert "usermod -aG i2c" in taken["hint"]


def test_failed_conversion_is_an_empty_file_and_no_number(board: Board) -> None:
    board.hang(-18.0)
    board.set_frame("")
    taken = board.read(FREEZER_TABLE)["freezer"]
    assert (taken["celsius"], taken["error"]) == (None, "unreadable")


def test_one_wire_sensor_that_is_taken_off_and_put_back_is_missed_and_read_again(board: Board) -> None:
    board.hang(-18.0)
    board.hang(4.0, "28-000000000002")
    board.chip(0x48, AT_25)
    daemon = board.start(FREEZER_TABLE + ROOM_TABLE)
    daemon.until(lambda: daemon.sensor("freezer")["celsius"] == -18.0)
    board.take_off()
    daemon.until(lambda: (daemon.sensor("freezer")["error"] or "").startswith("absent"))
    assert daemon.sensor("freezer")["last_good"] is not None
    assert daemon.sensor("room")["celsius"] == 25.0
    board.hang(25.0625)
    daemon.until(lambda: daemon.sensor("freezer")["celsius"] == 25.062)
    assert daemon.sensor("freezer")["failures"] == 0


def test_i2c_chip_that_is_taken_off_and_put_back_is_missed_and_read_again(board: Board) -> None:
    board.hang(-18.0)
    board.chip(0x48, AT_25)
    daemon = board.start(FREEZER_TABLE + ROOM_TABLE)
    daemon.until(lambda: daemon.sensor("room")["celsius"] == 25.0)
    board.order(gone=0x48)
    daemon.until(lambda: (daemon.sensor("room")["error"] or "").startswith("absent"))
    assert daemon.sensor("freezer")["celsius"] == -18.0
    board.chip(0x48, AT_21_5)
    daemon.until(lambda: daemon.sensor("room")["celsius"] == 21.5)
    board.set_frame(frame_text(scratchpad(25.0625)))
    daemon.until(lambda: daemon.sensor("freezer")["celsius"] == 25.062)
