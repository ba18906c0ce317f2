"""Readings that wait for the clock: seconds since boot in, UTC out, strictly increasing per sensor."""

from collections.abc import Sequence

from agent.reading import Reading, stamped_after
from agent.spool.row import Row


def stamped(rows: Sequence[Row], offset_seconds: float, *, above: int, latest: dict[str, int]) -> list[Row]:
    """The held rows with UTC = boot seconds + offset, and each sensor's second beyond its `latest`.

    A sensor that is not in `latest` begins beyond the second `above`. `latest` moves on.
    """
    done = []
    for row in rows:
        utc = stamped_after(round(row.seconds + offset_seconds), latest.get(row.sensor, above))
        latest[row.sensor] = utc
        done.append(Row.make(row.seq, Reading(row.sensor, row.milli, utc)))
    return done
