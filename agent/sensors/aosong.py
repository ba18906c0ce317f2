"""AHT10 and AHT20: one command, one answer that begins with a status byte; only the AHT20 has a checksum."""

from collections.abc import Callable
from typing import Final

from agent.errors import Unreadable
from agent.sensors.crc import verified
from agent.sensors.wire import Chip, Wire

_STATUS: Final = 0x71
_BUSY: Final = 0x80
_CALIBRATED: Final = 0x08


def aht_celsius(answer: bytes) -> float:
    """The lower 20 bits of bytes 3 to 5 (AHT20 datasheet, §6.2)."""
    return 200 * (int.from_bytes(answer[3:6], "big") & 0xFFFFF) / (1 << 20) - 50


def _prepare(command: int) -> Callable[[Wire], bytes]:
    """Let the chip load its calibration, if it has not after power-on (AHT20 datasheet, §5.4)."""

    def prepare(wire: Wire) -> bytes:
        if not wire.command(_STATUS, seconds=0.0, length=1)[0] & _CALIBRATED:
            wire.write(command, 0x08, 0x00)
            wire.pause(0.010)
        return b""

    return prepare


def _read(length: int) -> Callable[[Wire, bytes], float]:
    def read(wire: Wire, _calibration: bytes) -> float:
        answer = wire.command(0xAC, 0x33, 0x00, seconds=0.080, length=length)
        if answer[0] & _BUSY:
            raise Unreadable("not_ready", f"the chip is still busy after 80 ms (got {answer.hex(' ')})")
        if not answer[0] & _CALIBRATED:
            raise Unreadable("bad_calibration", f"the chip has lost its calibration (got {answer.hex(' ')})")
        return aht_celsius(answer if length == 6 else verified(answer[:6], answer))

    return read


AOSONG = {
    "aht10": Chip(0x38, (0x38, 0x39), (-40, 85), _read(6), _prepare(0xE1)),
    "aht20": Chip(0x38, (0x38,), (-40, 85), _read(7), _prepare(0xBE)),
}
