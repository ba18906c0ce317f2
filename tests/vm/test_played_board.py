"""The board that the virtual machine's kernel drives, without the kernel: frames, chips, and a search on the wire."""

import struct
from collections.abc import Callable

import pytest
from vm.board import BRIDGE, CELLAR_ROM, FREEZER, FREEZER_ROM, OUTSIDE, ROOM, Board
from vm.chips import Lm75, Mcp9808
from vm.ds2482 import LINE_RESET, READ_BYTE, TRIPLET, WRITE_BYTE, Ds2482
from vm.onewire import CONVERT, READ_SCRATCHPAD, SEARCH_ROM, SKIP_ROM, Ds18b20, Fault, Line, crc8, rom
from vm.tinyusb import ACKNOWLEDGED, GET_STATUS, I2C_IO, NOT_ACKNOWLEDGED, READ, Chip, TinyUsb
from vm.usbip import Transfer, Withdrawal, parse, submitted, unlinked

from agent.errors import SensorError
from agent.sensors import ds18b20

VENDOR_IN, VENDOR_OUT = 0xC1, 0x41


def bridge(*slaves: Ds18b20) -> Ds2482:
    return Ds2482(Line(slaves))


def slave(celsius: float, *, fault: Fault = "", now: Callable[[], float] = lambda: 0.0) -> Ds18b20:
    return Ds18b20(FREEZER_ROM, celsius, now, fault=fault)


def status(chip: Ds2482) -> int:
    return (chip.read(1) or b"")[0]


def search(chip: Ds2482) -> list[bytes]:
    """All ROM codes, as w1_search of the kernel goes through them: the last branch not taken yet is taken next."""
    found: list[bytes] = []
    path: list[int] = []
    while True:
        chip.write(bytes((LINE_RESET,)))
        chip.write(bytes((WRITE_BYTE, SEARCH_ROM)))
        code, branches = [], []
        for place in range(64):
            wanted = path[place] if place < len(path) else 0
            chip.write(bytes((TRIPLET, wanted << 7)))
            now = status(chip)
            if now & 0x60 == 0x60:
                return found
            if not now & 0x60 and not wanted:
                branches.append(place)
            code.append(now >> 7)
        found.append(bytes(sum(code[8 * n + i] << i for i in range(8)) for n in range(8)))
        if not branches:
            return found
        path = [*code[: branches[-1]], 1]


def scratchpad(chip: Ds2482) -> bytes:
    chip.write(bytes((LINE_RESET,)))
    for byte in (SKIP_ROM, READ_SCRATCHPAD):
        chip.write(bytes((WRITE_BYTE, byte)))
    nine = bytearray()
    for _ in range(9):
        chip.write(bytes((READ_BYTE,)))
        chip.write(b"\xe1\xe1")
        nine += chip.read(1) or b""
    return bytes(nine)


def convert(chip: Ds2482) -> None:
    chip.write(bytes((LINE_RESET,)))
    for byte in (SKIP_ROM, CONVERT):
        chip.write(bytes((WRITE_BYTE, byte)))


def test_the_checksum_of_a_rom_is_zero_over_all_eight_bytes() -> None:
    assert crc8(rom(0x0000_0586_475D)) == 0
    assert crc8(bytes.fromhex("02 1c b8 01 00 00 00")) == 0xA2  # Maxim application note 27, its example


def test_a_search_finds_every_slave_and_its_name_is_the_kernels() -> None:
    assert sorted(search(Board().bridge)) == sorted([FREEZER_ROM, CELLAR_ROM])
    assert FREEZER == "28-00000586475d"


def test_a_slave_that_is_gone_is_not_found_and_gives_no_presence() -> None:
    chip = bridge(slave(20.0, fault="gone"))
    chip.write(bytes((LINE_RESET,)))
    assert not status(chip) & 0x02
    assert search(chip) == []


@pytest.mark.parametrize("celsius", [-55.0, -0.0625, 0.0, 25.0625, 85.0, 125.0])
def test_a_conversion_is_in_the_scratchpad_when_its_time_is_over(celsius: float) -> None:
    seconds = [0.0]
    chip = bridge(slave(celsius, now=lambda: seconds[0]))
    convert(chip)
    assert scratchpad(chip)[:2] == b"\x50\x05"  # still as after power-on
    seconds[0] = 0.75
    assert ds18b20.decode(scratchpad(chip), 0x28) == celsius


@pytest.mark.parametrize(
    ("fault", "reason"), [("crc", "crc"), ("85", "power_on_reset"), ("zeros", "bus_shorted"), ("gone", "crc")]
)
def test_each_fault_is_one_that_the_agent_tells_apart(fault: Fault, reason: str) -> None:
    with pytest.raises(SensorError) as raised:
        ds18b20.decode(scratchpad(bridge(slave(20.0, fault=fault))), 0x28)
    assert raised.value.reason == reason


def test_the_bridge_is_a_100_to_the_kernel_not_an_800() -> None:
    chip = bridge()
    assert chip.write(b"\xf0")
    assert status(chip) == 0x18  # what ds2482_probe wants to see after a reset
    assert not chip.write(b"\xc3\xf0")  # no channel to select
    assert chip.write(b"\xd2\xe1")
    assert not chip.write(b"\xd2\x11")  # the upper half must be the complement


def message(device: TinyUsb, address: int, *, write: bytes = b"", read: int = 0) -> tuple[bytes | int, int]:
    """What one message gives, and the status that the driver asks for after it."""
    kind, flags = (VENDOR_IN, READ) if read else (VENDOR_OUT, 0)
    setup = struct.pack("<BBHHH", kind, I2C_IO + 3, flags, address, read or len(write))
    answer = device.control(setup, write)
    asked = device.control(struct.pack("<BBHHH", VENDOR_IN, GET_STATUS, 0, 0, 1), b"")
    assert isinstance(asked, bytes)
    return answer, asked[0]


def test_messages_reach_their_chip_and_an_empty_address_is_not_acknowledged() -> None:
    room = Lm75(-0.5)
    chips: dict[int, Chip] = {ROOM: room, OUTSIDE: Mcp9808(-7.0625), BRIDGE: bridge()}
    device = TinyUsb(chips)
    assert message(device, ROOM, write=b"\0") == (b"", ACKNOWLEDGED)
    assert message(device, ROOM, read=2) == (b"\xff\x80", ACKNOWLEDGED)  # National's LM75, table of codes: -0.5 °C
    message(device, OUTSIDE, write=b"\x05")
    assert message(device, OUTSIDE, read=2) == (b"\x1f\x8f", ACKNOWLEDGED)
    assert message(device, 0x50, read=1) == (b"\0", NOT_ACKNOWLEDGED)
    room.present = False
    assert message(device, ROOM, write=b"\0")[1] == NOT_ACKNOWLEDGED


def test_a_transfer_is_answered_in_the_frames_of_the_protocol() -> None:
    header = bytes.fromhex("00000001 00000d05 0001000f 00000001 00000000")
    header += bytes.fromhex("00000200 00000040 ffffffff 00000000 00000000 8006000100001200")
    transfer = parse(header)
    assert transfer == Transfer(0xD05, inward=True, endpoint=0, length=0x40, setup=bytes.fromhex("8006000100001200"))
    assert isinstance(transfer, Transfer)
    answer = submitted(transfer, b"\x12\x01")
    assert (
        answer
        == bytes.fromhex("00000003 00000d05" + "00000000" * 3 + "00000000 00000002" + "00000000" * 5) + b"\x12\x01"
    )
    assert submitted(transfer, -32)[20:28] == bytes.fromhex("ffffffe0 00000000")
    with pytest.raises(ValueError, match="got 7"):
        parse(struct.pack(">I", 7) + header[4:])


def test_a_transfer_that_is_given_up_is_said_to_be_reset() -> None:
    frame = struct.pack(">6I24x", 2, 9, 0, 0, 0, 8)
    command = parse(frame)
    assert command == Withdrawal(9, victim=8)
    assert unlinked(Withdrawal(9, victim=8), held=True)[:24] == struct.pack(">5Ii", 4, 9, 0, 0, 0, -104)
    assert len(unlinked(Withdrawal(9, victim=8), held=False)) == 48
