"""What a status file may hold: of a board that is well, and of one that is ill."""

from datetime import UTC, datetime, timedelta
from typing import Any

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def at(**before: float) -> str:
    """The UTC text of an instant so long before now."""
    return (NOW - timedelta(**before)).strftime("%Y-%m-%dT%H:%M:%SZ")


def sensor(name: str, celsius: float | None, *, seconds: float = 7, **changed: object) -> dict[str, Any]:
    trend = {"step_seconds": 900, "celsius": [-20 + 0.1 * step for step in range(24)]}
    made = {
        "sensor": name, "driver": "ds18b20", "celsius": celsius, "time": at(seconds=seconds), "failures": 0, "failed": 0,
        "error": None, "kind": None, "last_good": at(seconds=seconds), "interval_seconds": 60.0, "trend": trend,
    }  # fmt: skip
    return made | changed


SPOOL = {
    "pending": 0, "oldest": None, "set_aside": 0, "dropped": 0, "capacity": 300_000, "durability": "strict", "state": "ok",
    "room_seconds": 104 * 86_400.0, "drained_seconds": None,
}  # fmt: skip
UPLINK = {
    "state": "online", "since": at(days=3), "failures": 0, "last_ack": at(seconds=6), "next_try": None, "posted": 5,
    "acknowledged": 5, "ambiguous": 0, "last_status": 201, "detail": None,
}  # fmt: skip
IDENTITY = {
    "state": "active", "name": "sensor-001.example.com", "fingerprint_sha256": "ab", "not_after": "2027-06-15T00:00:00Z",
    "days_left": 201, "renews_after": "2027-02-13T00:00:00Z", "can_renew": True,
}  # fmt: skip
WELL: dict[str, Any] = {
    "state": "healthy", "version": "0.1.0", "since": at(days=3), "written": at(seconds=7), "problems": [],
    "sensors": [sensor("freezer", -18.0), sensor("cold room", 4.25, trend={"step_seconds": 900, "celsius": [4.25]})],
    "spool": SPOOL, "uplink": UPLINK, "clock": {"synchronised": True, "held": 0}, "identity": IDENTITY,
}  # fmt: skip
GONE = sensor(
    "room", None, seconds=18_000, time=None, failures=300, failed=300, kind="absent",
    error="no_answer: nothing answers at 0x48 on i2c-1",
    trend={"step_seconds": 900, "celsius": [21.0, 21.0, None, 22.0, *[None] * 20]},
)  # fmt: skip
ILL: dict[str, Any] = WELL | {
    "state": "degraded",
    "problems": [
        {"what": "sensor room: no_answer: nothing answers at 0x48 on i2c-1", "fix": "i2cdetect -y 1"},
        {"what": "uplink: ConnectionError: Name or service not known", "fix": "sensor-agent check"},
    ],
    "sensors": [sensor("freezer", -18.0), GONE],
    "spool": SPOOL | {"pending": 12_345, "oldest": at(hours=5), "set_aside": 3, "flash_bytes_today": 2_345_678,
                      "flash_bytes_per_year": 856e6},
    "uplink": UPLINK | {"state": "backoff", "since": at(hours=5), "failures": 41, "next_try": at(seconds=-85),
                        "last_ack": at(hours=5)},
    "identity": IDENTITY | {"can_renew": False},
}  # fmt: skip
