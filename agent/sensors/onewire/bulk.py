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
    """Which results of bulk conversions wait to be read, for all sensors of a board.

    `groups` are the ids that are always due together: only for those does a bulk conversion pay.
    Masters without `therm_bulk_read`, or where the agent may not write it, are read one by one.
    """

    def __init__(self, groups: Iterable[Iterable[str]], *, root: Path, monotonic: Callable[[], float]) -> None:
        able = [{each for each in group if not each.startswith(NO_BULK)} for group in groups]
        self._group_of = {each: group for group in able for each in group}
        self._root, self._monotonic = root, monotonic
        self._converted: dict[str, float] = {}

    def prepare(self, sensor_id: str, master: str) -> None:
        """Call before reading the sensor on that master: converts the whole bus if that pays or has to be."""
        if sensor_id not in self._group_of:
            return
        now = self._monotonic()
        if now < self._converted.pop(sensor_id, -FRESH_SECONDS) + FRESH_SECONDS:
            return
        trigger = self._root / DEVICES / master / "therm_bulk_read"
        if (self._peers(sensor_id, master) or _state(trigger) == UNREAD) and _pull(trigger):
            done = self._monotonic()
            self._converted.update((each, done) for each in self._group_of if each != sensor_id)

    def _peers(self, sensor_id: str, master: str) -> bool:
        """Whether another sensor on the same master is due whenever this one is."""
        bus = self._root / DEVICES / master
        return any((bus / each).exists() for each in self._group_of[sensor_id] - {sensor_id})


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
