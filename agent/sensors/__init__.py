"""What a sensor and a bus are; every driver and every chip is written against these."""

from collections.abc import Callable, Collection
from typing import Protocol, runtime_checkable

Wait = Callable[[float], object]
"""Waits that many seconds and returns false, or true at once when the agent is to stop.

The daemon passes its stop event's `wait`, so SIGTERM ends a conversion wait.
"""


class Sensor(Protocol):
    """One configured sensor. Making one touches no hardware, so a dead sensor is kept and tried again."""

    @property
    def bus(self) -> str:
        """What it shares with others, as `w1` or `i2c-1`: sensors of one bus are read by one thread at a time."""
        ...

    @property
    def rated_celsius(self) -> tuple[float, float]:
        """Lowest and highest temperature that the chip is rated for."""
        ...

    def read(self) -> float:
        """Degrees Celsius, as the chip says it: no offset, no gate, never a stand-in number.

        Raises SensorError if no reading came out.
        """
        ...


@runtime_checkable
class ConvertsTogether(Protocol):
    """A sensor whose bus can convert for several at once."""

    def due_with(self, ids: Collection[str]) -> None:
        """Called before a tick with the configured ids of all such sensors that are due in it, its own among them."""
        ...


class Bus(Protocol):
    """An I2C bus, in the three transfer shapes that every controller of every board supports.

    All three raise Absent if nothing answers at `address`, BusStuck after a bus timeout,
    Misconfigured if the bus does not exist or may not be used, Unreadable for the rest.
    """

    def write(self, address: int, data: bytes) -> None: ...

    def read(self, address: int, length: int) -> bytes: ...

    def write_read(self, address: int, data: bytes, length: int) -> bytes:
        """One transfer with a repeated start: the pointer write and the read of a register chip."""
        ...
