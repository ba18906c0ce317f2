"""Every chip against buses that answer with anything at all: a number or a SensorError, soon, and nothing else."""

import contextlib
import math
import random
from dataclasses import dataclass, field

import pytest

from agent.errors import SensorError
from agent.sensors.chips import CHIPS
from agent.sensors.wire import Wire


@dataclass
class NoisyBus:
    """Answers every read with other bytes of a seeded dice."""

    dice: random.Random
    transfers: int = 0

    def write(self, address: int, data: bytes) -> None:
        del address, data
        self.transfers += 1

    def read(self, address: int, length: int) -> bytes:
        del address
        self.transfers += 1
        return self.dice.randbytes(length)

    def write_read(self, address: int, data: bytes, length: int) -> bytes:
        del data
        return self.read(address, length)


@dataclass
class ConstantBus(NoisyBus):
    """A line that is held: every bit reads the same."""

    byte: int = 0xFF
    dice: random.Random = field(default_factory=random.Random)

    def read(self, address: int, length: int) -> bytes:
        del address
        self.transfers += 1
        return bytes((self.byte,)) * length


def attempt(name: str, bus: NoisyBus) -> float | None:
    """The number, or None if the chip was refused."""
    wire = Wire(bus, CHIPS[name].address, lambda _seconds: False)
    try:
        return CHIPS[name].read(wire, CHIPS[name].prepare(wire))
    except SensorError:
        return None


@pytest.mark.parametrize("name", CHIPS)
def test_noise_on_the_bus_never_breaks_a_driver(name: str) -> None:
    bus = NoisyBus(random.Random(name))
    for _ in range(300):
        got = attempt(name, bus)
        assert got is None or math.isfinite(got)
    assert bus.transfers < 300 * 20


@pytest.mark.parametrize("name", CHIPS)
def test_garbled_calibration_never_breaks_a_driver(name: str) -> None:
    dice = random.Random(name)
    wire = Wire(NoisyBus(dice), CHIPS[name].address, lambda _seconds: False)
    for _ in range(300):
        with contextlib.suppress(SensorError):  # refused is as good as finite; anything else fails the test
            assert math.isfinite(CHIPS[name].read(wire, dice.randbytes(22 if name == "bmp180" else 6)))


@pytest.mark.parametrize("name", CHIPS)
def test_line_held_high_gives_no_number(name: str) -> None:
    assert attempt(name, ConstantBus(random.Random(), byte=0xFF)) is None
