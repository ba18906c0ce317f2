"""One temperature with its origin and its instant, and the form it takes on the wire."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from agent.record import dataclass

LATEST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second that four digits can name
AHEAD_SECONDS: Final = 3600  # a stamp further ahead than this was of a wrong clock, and binds nobody
MILLI_LIMIT: Final = 10_000_000  # ±10,000 °C: beyond any sensor, well within a JSON double


@dataclass(frozen=True, slots=True)
class Reading:
    """`milli_celsius` is thousandths of a degree Celsius, `unix_seconds` the UTC second of the sampling instant.

    Integers, because the wire carries three decimals and whole seconds: what is stored is what is sent.
    Raises ValueError outside 1970…9999 or ±10,000 °C.
    """

    sensor: str
    milli_celsius: int
    unix_seconds: int

    def __post_init__(self) -> None:
        if not -MILLI_LIMIT <= self.milli_celsius <= MILLI_LIMIT:
            raise ValueError(
                f"reading of {self.sensor}: {self.milli_celsius} thousandths of a degree is no temperature"
            )
        if not 0 <= self.unix_seconds <= LATEST_SECOND:
            raise ValueError(f"reading of {self.sensor}: second {self.unix_seconds} is outside 1970…9999")

    @property
    def celsius(self) -> float:
        """Degrees Celsius."""
        return self.milli_celsius / 1000

    @property
    def time(self) -> str:
        """UTC of the sampling instant, as the wire has it."""
        return utc_text(self.unix_seconds)


def milli(celsius: float) -> int:
    """Thousandths of a degree, rounded half to even.

    Raises ValueError for NaN and the infinities: they would leave as a poisoned body.
    """
    if not math.isfinite(celsius):
        raise ValueError(f"{celsius} is no temperature")
    return round(celsius * 1000)


def stamped_after(second: int, floor: int) -> int:
    """The second that a reading of this `second` is stamped with: above `floor`, the sensor's one before.

    Strictly increasing stamps heal a clock that is set back by a little. Where it had been hours or years ahead they
    would make every later stamp untrue as well, for as long as it was ahead; there the order is broken, once.
    """
    return second if floor - second > AHEAD_SECONDS else max(second, floor + 1)


def utc_text(unix_seconds: float) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ` (RFC 3339 §5.6, no fraction): what every `Date.parse` reads as UTC."""
    return datetime.fromtimestamp(int(unix_seconds), UTC).isoformat()[:19] + "Z"


def counted(readings: int) -> str:
    """So many readings, in words."""
    return "1 reading" if readings == 1 else f"{readings} readings"


def decimal(milli_celsius: int) -> str:
    """Plain decimal with at most three places, no exponent, and no negative zero."""
    sign = "-" if milli_celsius < 0 else ""
    whole, thousandths = divmod(abs(milli_celsius), 1000)
    return f"{sign}{whole}" + (f".{thousandths:03d}".rstrip("0") if thousandths else "")


def body(reading: Reading, *, temperature_as: str, extra: Mapping[str, str | int] | None = None) -> bytes:
    """The JSON body of one POST; the same reading gives the same bytes on every try.

    A string by default, because the tutorial's Worker refuses the number 0 (`val.temperature && val.time`).
    """
    text = decimal(reading.milli_celsius)
    quote = "" if temperature_as == "number" else '"'
    more = f", {json.dumps(extra)[1:-1]}" if extra else ""
    # as `json.dumps` writes it, in a third of the time: there is nothing in these two to be escaped
    return f'{{"temperature": {quote}{text}{quote}, "time": "{reading.time}"{more}}}'.encode()
