"""Every decoder against any bytes at all: a plausible number or a SensorError, soon, and nothing else.

40 frames a decoder in the suite, always the same ones; `make fuzz` draws 10,000 new ones for each.
"""

import contextlib
import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import SensorError
from agent.sensors import Wait
from agent.sensors.chips import CHIPS
from agent.sensors.crc import SMBUS, crc8
from agent.sensors.ds18b20 import FAMILIES, RATED_CELSIUS, decode, scratchpad
from agent.sensors.ds18b20 import crc8 as one_wire_crc8
from agent.sensors.gate import gate
from agent.sensors.kernel import KernelSensor
from agent.sensors.wire import Wire

ASKED_FOR = os.environ.get("FUZZ_EXAMPLES")
frames = settings(
    max_examples=int(ASKED_FOR or 40),
    derandomize=ASKED_FOR is None,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
MOST_TRANSFERS = 20  # of one reading: whatever the bytes are, it ends
never: Wait = lambda _seconds: False  # noqa: E731 - the wait of a chip that is always done


class PlayedBus:
    """Answers with the given bytes, one transfer after the other, then from their beginning."""

    def __init__(self, stream: bytes, sealed: Callable[[bytes], bytes]) -> None:
        self.transfers = 0
        self._stream, self._at, self._sealed = stream, 0, sealed

    def write(self, address: int, data: bytes) -> None:
        del address, data
        self.transfers += 1

    def read(self, address: int, length: int) -> bytes:
        del address
        self.transfers += 1
        turned = self._stream[self._at :] + self._stream[: self._at]
        self._at = (self._at + length) % len(self._stream)
        return self._sealed((turned * (length // len(turned) + 1))[:length])

    def write_read(self, address: int, data: bytes, length: int) -> bytes:
        del data
        return self.read(address, length)


def as_it_is(seen: bytes) -> bytes:
    return seen


def words(initial: int) -> Callable[[bytes], bytes]:
    """Gives every word the checksum that makes it right."""

    def sealed(seen: bytes) -> bytes:
        pairs = (seen[at : at + 2] for at in range(0, len(seen) // 3 * 3, 3))
        return b"".join(pair + bytes((crc8(pair, initial=initial),)) for pair in pairs) or seen

    return sealed


def aht20(seen: bytes) -> bytes:
    return seen if len(seen) < 7 else seen[:6] + bytes((crc8(seen[:6]),))


def mlx90614(seen: bytes) -> bytes:
    sent = bytes((0xB4, 0x07, 0xB5, *seen[:2]))
    return seen[:2] + bytes((crc8(sent, polynomial=SMBUS, initial=0),))


# without the right checksum, no bytes would ever come as far as the formula
SEALED = {
    **dict.fromkeys(("sht3x", "sts3x", "sht4x"), words(0xFF)),
    **dict.fromkeys(("htu21d", "si7021"), words(0x00)),
    "aht20": aht20,
    "mlx90614": mlx90614,
}


def check(read: Callable[[], float], rated: tuple[float, float]) -> None:
    """That it gives a plausible number or raises SensorError; whatever else it raises fails the test."""
    with contextlib.suppress(SensorError):
        celsius = gate(read(), rated=rated, low=None, high=None)
        assert isinstance(celsius, float)
        assert rated[0] <= celsius <= rated[1]


@pytest.mark.parametrize("name", CHIPS)
@frames
@given(stream=st.binary(min_size=64, max_size=64))
def test_any_bytes_on_the_bus_give_a_plausible_number_or_a_sensor_error(name: str, stream: bytes) -> None:
    chip, bus = CHIPS[name], PlayedBus(stream, as_it_is)
    wire = Wire(bus, chip.address, never)
    check(lambda: chip.read(wire, chip.prepare(wire)), chip.rated_celsius)
    assert bus.transfers <= MOST_TRANSFERS


@pytest.mark.parametrize("name", CHIPS)
@frames
@given(stream=st.binary(min_size=16, max_size=16), calibration=st.binary(min_size=22, max_size=22))
def test_chip_that_is_itself_with_any_measurement_and_calibration_does_no_worse(
    name: str, stream: bytes, calibration: bytes
) -> None:
    chip = CHIPS[name]
    wire = Wire(PlayedBus(stream, SEALED.get(name, as_it_is)), chip.address, never)
    check(lambda: chip.read(wire, calibration if name == "bmp180" else calibration[:6]), chip.rated_celsius)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
@frames
@given(eight=st.binary(min_size=8, max_size=8))
def test_any_scratchpad_with_a_right_checksum_does_no_worse(family: int, eight: bytes) -> None:
    check(lambda: decode(eight + bytes((one_wire_crc8(eight),)), family), RATED_CELSIUS)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
@frames
@given(frame=st.binary(max_size=20))
def test_any_scratchpad_of_any_length_does_no_worse(family: int, frame: bytes) -> None:
    check(lambda: decode(frame, family), RATED_CELSIUS)


# what a w1_slave file may hold, and what looks like it
LINE = st.from_regex(rb"([0-9a-fxY ]{2,3}){0,9} : crc=[0-9a-f]{2} (YES|NO)\n?", fullmatch=True)
FRAME = st.binary(min_size=9, max_size=9).map(
    lambda nine: b"%b : crc=00 YES\n%b t=0\n" % ((nine.hex(" ").encode(),) * 2)
)


@frames
@given(text=st.binary(max_size=200) | LINE | st.tuples(LINE, LINE).map(b"".join) | FRAME)
def test_any_text_of_a_w1_slave_file_does_no_worse(text: bytes) -> None:
    check(lambda: decode(scratchpad(text), 0x28), RATED_CELSIUS)


@frames
@given(
    content=st.binary(max_size=24)
    | st.integers().map(lambda number: b"%d\n" % number)
    | st.floats().map(lambda number: str(number).encode())
)
def test_any_content_of_a_kernel_attribute_does_no_worse(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    root = tmp_path_factory.getbasetemp() / "any content"
    place = root / "sys/class/hwmon/hwmon0"
    place.mkdir(parents=True, exist_ok=True)
    (place / "name").write_text("nvme\n")
    (place / "temp1_input").write_bytes(content)
    sensor = KernelSensor("nvme", root)
    check(sensor.read, sensor.rated_celsius)
