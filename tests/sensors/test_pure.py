"""The pure part of the sensors: the gate, the scratchpad and the checksums, each as a table."""

import contextlib
import math
import random

import pytest

from agent.errors import Implausible, SensorError, Unreadable
from agent.sensors.bosch import bmp180_celsius
from agent.sensors.chips import CHIPS
from agent.sensors.crc import SMBUS, crc8
from agent.sensors.ds18b20 import FAMILIES, decode, scratchpad
from agent.sensors.ds18b20 import crc8 as one_wire_crc8
from agent.sensors.gate import gate


@pytest.mark.parametrize("value", [-40.0, -10.0, 0.0, -0.0, 60.0])
def test_gate_passes_what_lies_in_the_range(value: float) -> None:
    assert gate(value, rated=(-40, 60), low=None, high=None) == value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "not_a_number"),
        (math.inf, "not_a_number"),
        (-math.inf, "not_a_number"),
        (-40.001, "out_of_range"),
        (60.001, "out_of_range"),
        (-5.001, "below_minimum"),
        (8.001, "above_maximum"),
    ],
)
def test_gate_refuses_what_cannot_be_the_temperature(value: float, reason: str) -> None:
    with pytest.raises(Implausible) as caught:
        gate(value, rated=(-40, 60), low=-5, high=8)
    assert caught.value.reason == reason


def test_operator_cannot_widen_the_rated_range() -> None:
    with pytest.raises(Implausible):
        gate(127.0, rated=(-55, 125), low=-200, high=200)


@pytest.mark.parametrize(
    ("data", "polynomial", "initial", "checksum"),
    [
        ("beef", 0x31, 0xFF, 0x92),  # SHT3x datasheet, §4.12
        ("683a", 0x31, 0x00, 0x7C),  # HTU21D datasheet, "CRC-8 checksum calculations using examples"
        ("dc", 0x31, 0x00, 0x79),  # the same
        ("b407b5d23a", SMBUS, 0x00, 0x30),  # a whole SMBus read of an MLX90614 at 5a
    ],
)
def test_checksum_is_the_datasheets(data: str, polynomial: int, initial: int, checksum: int) -> None:
    assert crc8(bytes.fromhex(data), polynomial=polynomial, initial=initial) == checksum


def test_one_wire_checksum_is_the_application_notes() -> None:
    # application note 27, figure 5: the ROM 02 1C B8 01 00 00 00 has the checksum A2
    assert one_wire_crc8(bytes.fromhex("021cb801000000")) == 0xA2


@pytest.mark.parametrize("bit", range(72))
def test_scratchpad_with_any_one_bit_wrong_gives_no_number(bit: int) -> None:
    frame = bytearray.fromhex("91014b467fff0f1025")
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SensorError):
        decode(bytes(frame), 0x28)


def test_frame_cut_off_anywhere_gives_no_number() -> None:
    line = "91 01 4b 46 7f ff 0f 10 25"
    text = f"{line} : crc=25 YES\n{line} t=25062\n".encode()
    for length in range(len(text) - len("25062\n")):
        with pytest.raises(Unreadable):
            scratchpad(text[:length])


def test_random_bytes_never_break_the_decoder() -> None:
    dice = random.Random(20261125)
    for _ in range(2000):
        data = dice.randbytes(8)
        frame = data + bytes((one_wire_crc8(data),))
        for family in FAMILIES.values():
            with contextlib.suppress(SensorError):  # refused is as good as finite; anything else fails the test
                assert math.isfinite(decode(frame, family))


@pytest.mark.parametrize(("configuration", "celsius"), [("1f", 25.0), ("3f", 25.25), ("5f", 25.375), ("7f", 25.4375)])
def test_bits_below_the_resolution_of_a_scratchpad_do_not_count(configuration: str, celsius: float) -> None:
    data = bytes.fromhex(f"97014b46{configuration}ff0c10")
    assert decode(data + bytes((one_wire_crc8(data),)), 0x28) == celsius


def test_calibration_that_divides_by_zero_gives_no_number() -> None:
    with pytest.raises(Unreadable, match="bad_calibration"):
        bmp180_celsius(0, bytes(22))


@pytest.mark.parametrize("name", CHIPS)
def test_usual_address_of_a_chip_is_one_of_its_addresses(name: str) -> None:
    assert CHIPS[name].address in CHIPS[name].addresses
