"""What a board is called when nobody named it."""

from pathlib import Path

import pytest
from world.boards import put_board

from agent.device import device_name
from agent.errors import ConfigError

MACHINE = "0123456789abcdef0123456789abcdef"


def tree(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_the_configured_name_comes_first(tmp_path: Path) -> None:
    tree(tmp_path, {"etc/machine-id": MACHINE.encode()})
    assert device_name("sensor-001", tmp_path) == "sensor-001"


@pytest.mark.parametrize("file", ["sys/firmware/devicetree/base/serial-number", "proc/device-tree/serial-number"])
def test_a_raspberry_is_called_by_its_serial(tmp_path: Path, file: str) -> None:
    tree(tmp_path, {file: b"10000000A1B2C3D4\0", "etc/machine-id": MACHINE.encode()})
    assert device_name("", tmp_path) == "rpi-10000000a1b2c3d4"


@pytest.mark.parametrize("serial", [b"", b"\0", b"Not Specified\0", b"\xff\xfe", b"../../x", b"0000000000000000\0"])
def test_a_serial_that_is_none_is_passed_over(tmp_path: Path, serial: bytes) -> None:
    tree(tmp_path, {"proc/device-tree/serial-number": serial, "etc/machine-id": MACHINE.encode()})
    assert device_name("", tmp_path).startswith("host-")


def test_a_host_is_called_by_a_hash_of_its_machine_id(tmp_path: Path) -> None:
    tree(tmp_path, {"etc/machine-id": MACHINE.encode() + b"\n"})
    name = device_name("", tmp_path)
    assert name == "host-1c8e38beba25ce18"
    assert MACHINE[:8] not in name


@pytest.mark.parametrize("machine", [b"", b"uninitialized\n", b"short\n", b"\xff" * 32])
def test_a_board_without_any_name_is_told_to_give_one(tmp_path: Path, machine: bytes) -> None:
    tree(tmp_path, {"etc/machine-id": machine})
    with pytest.raises(ConfigError, match=r"device\.name: is not set") as raised:
        device_name("", tmp_path)
    assert "device.name" in raised.value.hint


def test_a_board_without_a_machine_id_file_is_told_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        device_name("", tmp_path)


def test_two_boards_get_two_names_whatever_of_them_is_alike(tmp_path: Path) -> None:
    boards = [
        put_board(tmp_path / "pi-1", serial="10000000abcdef01", machine="a" * 32),
        put_board(tmp_path / "pi-2", serial="10000000abcdef02", machine="a" * 32),  # a copied card
        put_board(tmp_path / "pc-1", machine="a" * 32),
        put_board(tmp_path / "pc-2", machine="b" * 32),
    ]
    assert len({device_name("", root) for root in boards}) == 4
