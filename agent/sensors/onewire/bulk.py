"""One conversion for a whole 1-Wire bus: twenty sensors take one second instead of sixteen.

The kernel then gives each sensor's next read the result of that conversion, however old it is by then. So nothing is
read after a bulk conversion without knowing how old it is.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from agent.sensors.onewire.library import DEVICES

FRESH_SECONDS: Final = 5.0  # reading twenty converted sensors takes 0.4 s
TRIGGER: Final = b"trigger\n"  # w1_therm compares eight bytes: without the newline it does nothing, and says nothing
UNREAD: Final = b"1"
NO_BULK: Final = "42-"  # w1_therm leaves the DS28EA00 out


class BulkConversion:
    """Which results of bulk conversions wait to be read, for all sensors of a board; `ids` are those it knows of.

    Masters without `therm_bulk_read`, or where the agent may not write it, are read one by one.
    """

    def __init__(self, ids: Iterable[str], *, root: Path, monotonic: Callable[[], float]) -> None:
        self._able = {each for each in ids if not each.startswith(NO_BULK)}
        self._root, self._monotonic = root, monotonic
        self._converted: dict[str, float] = {}

    def prepare(self, sensor_id: str, master: str, *, due: Iterable[str]) -> None:
        """Call before reading the sensor on that master: converts the whole bus if that pays or has to be.

        It pays if others of `due` hang on the same master: they are about to be read, too.
        """
        if sensor_id not in self._able:
            return
        now = self._monotonic()
        if now < self._converted.pop(sensor_id, -FRESH_SECONDS) + FRESH_SECONDS:
            return
        bus = self._root / DEVICES / master
        if not os.access(bus / "therm_bulk_read", os.W_OK):
            return
        others = self._able.intersection(due) - {sensor_id}
        pays = any((bus / each).exists() for each in others)
        if (pays or _state(bus / "therm_bulk_read") == UNREAD) and _pull(bus / "therm_bulk_read"):
            done = self._monotonic()
            # of this master alone: what hangs on another one was not converted
            self._converted.update((each, done) for each in self._able - {sensor_id} if (bus / each).exists())


def _state(trigger: Path) -> bytes:
    """`1` while results wait that nobody has read, as after a restart of the agent between trigger and read."""
    try:
        return trigger.read_bytes().strip()
    except OSError:
        return b""


def _pull(trigger: Path) -> bool:
    """Convert everything on the bus; returns when the slowest is done. False if that is not possible here."""
    try:
        file = os.open(trigger, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.write(file, TRIGGER) == len(TRIGGER)
    except OSError:
        return False
    finally:
        os.close(file)
