"""The status as Prometheus text (exposition format 0.0.4): names with units, a HELP and a TYPE for each.

Pure but for the file. What is not known is left out, never a stand-in number.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from agent.errors import CannotWrite

STATES: Final = ("healthy", "degraded", "broken", "stopped")
LINES: Final = ("online", "backoff", "hold", "misdirected", "unenrolled", "idle")
OF_NOW: Final = frozenset({"sensor_temperature_celsius", "uplink_state"})


class Metric(NamedTuple):
    """One name with its samples, each labels and a value."""

    name: str
    kind: str
    words: str
    samples: list[tuple[dict[str, str], float | None]]


def metrics(found: Mapping[str, Any] | None, *, current: bool = True) -> str:
    """All metrics of the status; without one only that nothing is up. What may have changed since is told of a `current` one
    only: the collector takes each for a measurement of now.
    """
    lines: list[str] = []
    for metric in _all(found):
        if not current and metric.name in OF_NOW:
            continue
        samples = [(labels, value) for labels, value in metric.samples if value is not None]
        if samples:
            name = f"sensor_agent_{metric.name}"
            lines += [f"# HELP {name} {metric.words}", f"# TYPE {name} {metric.kind}"]
            lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _all(found: Mapping[str, Any] | None) -> Iterator[Metric]:
    def one(name: str, kind: str, words: str, value: float | None) -> Metric:
        return Metric(name, kind, words, [({}, value)])

    def each(name: str, kind: str, words: str, key: str) -> Metric:
        samples = [({"sensor": sensor["sensor"], "driver": sensor["driver"]}, sensor.get(key)) for sensor in sensors]
        return Metric(name, kind, words, samples)

    yield one("up", "gauge", "Whether the daemon runs.", float(found is not None and found["state"] != "stopped"))
    if found is None:
        return
    sensors, spool, uplink, identity = found["sensors"], found["spool"], found["uplink"], found["identity"]
    state, line = found["state"], uplink["state"]
    yield Metric("build_info", "gauge", "The version that runs.", [({"version": found["version"]}, 1)])
    yield Metric("state", "gauge", "1 for the state it is in.", [({"state": each}, each == state) for each in STATES])
    yield one("problems", "gauge", "Problems that status names.", len(found["problems"]))
    yield one("start_time_seconds", "gauge", "When the daemon began, in Unix time.", _unix(found["since"]))
    yield one("status_timestamp_seconds", "gauge", "When it last said so, in Unix time.", _unix(found["written"]))
    yield each("sensor_temperature_celsius", "gauge", "The latest temperature, while the sensor reads.", "celsius")
    yield Metric(
        "sensor_last_reading_timestamp_seconds", "gauge", "When the sensor was last read, in Unix time.",
        [({"sensor": sensor["sensor"], "driver": sensor["driver"]}, _unix(sensor["last_good"])) for sensor in sensors],
    )  # fmt: skip
    yield each("sensor_interval_seconds", "gauge", "How often the sensor is read.", "interval_seconds")
    yield each("sensor_consecutive_failures", "gauge", "Tries that failed since the last reading.", "failures")
    yield each("sensor_failures_total", "counter", "Tries that failed since the daemon began.", "failed")
    yield one("spool_pending_readings", "gauge", "Readings that wait for delivery.", spool["pending"])
    yield one("spool_held_readings", "gauge", "Of those, the ones that wait for the clock.", found["clock"]["held"])
    yield one(
        "spool_oldest_reading_timestamp_seconds",
        "gauge",
        "Instant of the oldest, in Unix time.",
        _unix(spool["oldest"]),
    )
    yield one("spool_capacity_readings", "gauge", "Readings that the spool can keep.", spool["capacity"])
    yield one(
        "spool_room_seconds", "gauge", "How long nothing need leave before some are dropped.", spool.get("room_seconds")
    )
    yield one("spool_set_aside_readings", "gauge", "Readings that were refused and are kept.", spool["set_aside"])
    yield one("spool_dropped_readings_total", "counter", "Readings dropped since the spool was made.", spool["dropped"])
    yield one(
        "spool_damaged_readings_total",
        "counter",
        "Readings lost in damaged files since the start.",
        spool.get("damaged"),
    )
    yield one("spool_storing", "gauge", "Whether the disk takes readings.", float(spool["state"] == "ok"))
    yield one(
        "spool_flash_written_today_bytes", "gauge", "Bytes written to flash today.", spool.get("flash_bytes_today")
    )
    yield Metric(
        "uplink_state", "gauge", "1 for the state of the line.", [({"state": each}, each == line) for each in LINES]
    )
    yield one("uplink_consecutive_failures", "gauge", "POSTs without an acknowledgement in a row.", uplink["failures"])
    yield one("uplink_posts_total", "counter", "POSTs since the daemon began.", uplink["posted"])
    yield one("uplink_acknowledged_readings_total", "counter", "Readings delivered since then.", uplink["acknowledged"])
    yield one("uplink_lost_answers_total", "counter", "POSTs whose answer was lost.", uplink["ambiguous"])
    yield one(
        "uplink_last_acknowledgement_timestamp_seconds",
        "gauge",
        "The last delivery, in Unix time.",
        _unix(uplink["last_ack"]),
    )
    yield one(
        "clock_synchronised", "gauge", "Whether a time daemon has set the clock.", float(found["clock"]["synchronised"])
    )
    yield one(
        "certificate_expiry_timestamp_seconds",
        "gauge",
        "When the certificate ends, in Unix time.",
        _unix(identity["not_after"]),
    )
    yield one(
        "certificate_renewal_timestamp_seconds", "gauge", "From when on it is renewed.", _unix(identity["renews_after"])
    )


def replace_file(file: Path, text: str) -> None:
    """Write the file as a whole: a collector that looks meanwhile sees the one before. Raises CannotWrite.

    What the collector takes ends in `.prom`, so the name of the new one does not.
    """
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o644)
        fresh.replace(file)
    except OSError as error:
        raise CannotWrite(f"{file}: {error.strerror}", hint=f"ls -ld {file.parent}; df {file.parent}; id") from error
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def _unix(time: str | None) -> float | None:
    return None if time is None else datetime.fromisoformat(time).timestamp()


def _labels(labels: Mapping[str, str]) -> str:
    """In braces, with backslash, quote and line feed escaped as the format has it."""
    if not labels:
        return ""
    escaped = {
        name: value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for name, value in labels.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"


def _number(value: float) -> str:
    """An integer without a point; counts of bytes and Unix times stay exact."""
    return str(int(value)) if value == int(value) else repr(float(value))
