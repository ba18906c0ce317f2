"""What the agent has said about itself before a cut, and what it owes after one; pure.

A status is written after `append` has returned, but by two threads. Its counts are taken under the spool's lock, so they are of
appends that returned; its sensors may be a tick ahead, so a reading in it counts as stored once a later one of that sensor
has been seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Value:
    """A reading: `time` as it is sent, degrees as a decimal of three places at most."""

    sensor: str
    time: str
    celsius: float


@dataclass(frozen=True, slots=True)
class Report:
    """One status. `latest` is the last good value of each sensor; `errors` are of those that fail."""

    pid: int
    pending: int
    acknowledged: int
    set_aside: int
    dropped: int
    sound: bool
    state: str
    line: str
    latest: tuple[Value, ...]
    errors: Mapping[str, str]

    @classmethod
    def of(cls, status: Mapping[str, Any]) -> "Report":
        """Out of the object that `status.json` holds."""
        spool, uplink, sensors = status["spool"], status["uplink"], status["sensors"]
        return cls(
            pid=status["pid"],
            pending=spool["pending"],
            acknowledged=uplink["acknowledged"],
            set_aside=spool["set_aside"],
            dropped=spool["dropped"],
            sound=spool["state"] == "ok",
            state=status["state"],
            line=uplink["state"],
            latest=tuple(Value(s["sensor"], s["time"], s["celsius"]) for s in sensors if s["celsius"] is not None),
            errors={s["sensor"]: s["error"] for s in sensors if s["error"] is not None},
        )


def stored(reports: Sequence[Report]) -> int:
    """Readings that one process has said it stored: those it found, and its own.

    The counts of one status are taken one after the other, so the latest acknowledged reading may be in both.
    """
    return max((each.pending + max(each.acknowledged - 1, 0) for each in reports if each.sound), default=0)


def certain(reports: Iterable[Report]) -> dict[tuple[str, str], float]:
    """Value by sensor and time, of those that a later one of the same sensor has been seen after."""
    before: dict[str, Value] = {}
    found: dict[tuple[str, str], float] = {}
    for report in reports:
        for value in report.latest:
            known = before.get(value.sensor)
            if known is not None and known.time != value.time:
                found[known.sensor, known.time] = known.celsius
            before[value.sensor] = value
    return found
