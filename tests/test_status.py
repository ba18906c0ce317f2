"""What `status` says of the parts, as the contract has it."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent import status_file
from agent.backlog import Backlog
from agent.certificate import Certificate
from agent.clock import Stamp
from agent.config import Config, EnrollConfig, SensorConfig, SpoolConfig, UplinkConfig
from agent.delivery import Line, LineState
from agent.errors import Absent, Unreadable
from agent.flash import Flash
from agent.flush import Delivered
from agent.identity import Identity, IdentityState
from agent.sampler import Health
from agent.spool import Counts
from agent.status import Moment, seen_to, snapshot, trends
from agent.status.snapshot import room_seconds
from agent.status_file import StatusFile
from agent.trend import Trend

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
CONFIG = Config(
    uplink=UplinkConfig(url="https://shield.example.com/temps"),
    sensors=(SensorConfig(name="freezer", driver="ds18b20"), SensorConfig(name="room", driver="tmp102")),
)
MOMENT = Moment(Stamp(NOW, 1000.0, trusted=True), 500.0, "1.2.3", NOW - 3600, clock_synchronised=True)
GOOD = Health(celsius=-18.0, last_good=Stamp(NOW - 7, 993.0, trusted=True))
FAILING = Health(
    failures=3, celsius=21.5, last_good=Stamp(0, 900.0, trusted=False), error=Absent("absent", "gone"), failed=5,
    trend=Trend().after(21.5, 899.0),
)  # fmt: skip
HEALTH = {"freezer": GOOD, "room": GOOD}
COUNTS = Counts(pending=2, held=0, set_aside=1, dropped=0, oldest=int(NOW) - 60, trouble="")
CERTIFICATE = Certificate(
    "sensor-001", "7", datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), fingerprint_sha256="ab" * 32
)
IDENTITY = Identity(IdentityState.ACTIVE, ("c", "k"), CERTIFICATE)
LINE = Line(LineState.ONLINE, since=400.0, not_before=500.0)
DELIVERED = Delivered(posted=5, acknowledged=4, ambiguous=1, last_ack=NOW - 3, last_status=201)


def taken(**changes: object) -> dict[str, object]:
    parts = {"health": HEALTH, "counts": COUNTS, "line": LINE, "delivered": DELIVERED, "identity": IDENTITY}
    parts |= {"before": COUNTS} | changes
    return snapshot(CONFIG, MOMENT, **parts)  # type: ignore[arg-type]


def test_the_shape_is_the_one_that_other_programs_rely_on() -> None:
    status = taken()
    assert {name: set(part) for name, part in status.items() if isinstance(part, dict)} == {
        "spool": {
            "pending", "oldest", "set_aside", "dropped", "capacity", "durability", "state", "room_seconds",
            "drained_seconds", "salvage_left", "damaged",
        },
        "uplink": {
            "state", "since", "failures", "last_ack", "next_try", "posted", "acknowledged", "ambiguous", "last_status",
            "detail",
        },
        "clock": {"synchronised", "held"},
        "identity": {"state", "name", "fingerprint_sha256", "not_after", "days_left", "renews_after", "can_renew"},
    }  # fmt: skip
    assert status["state"] == "healthy"
    assert json.loads(json.dumps(status, allow_nan=False)) == status


def test_times_are_utc_whatever_clock_they_came_from() -> None:
    status = taken()
    assert status["uplink"]["since"] == "2026-11-25T11:58:20Z"  # type: ignore[index]
    assert status["sensors"][0]["time"] == "2026-11-25T11:59:53Z"  # type: ignore[index]
    assert status["identity"]["renews_after"] == "2026-08-30T20:42:37Z"  # type: ignore[index]


def test_a_failing_sensor_has_no_number_and_keeps_its_last_good_time() -> None:
    sensor = taken(health={"freezer": GOOD, "room": FAILING})["sensors"][1]  # type: ignore[index]
    assert sensor == {
        "sensor": "room", "driver": "tmp102", "celsius": None, "time": None, "failures": 3, "error": "absent: gone",
        "last_good": "2026-11-25T11:58:20Z", "interval_seconds": 60.0, "failed": 5, "kind": "absent",
        "trend": {"step_seconds": 900, "celsius": [21.5, None]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "state", "first"),
    [
        ({}, "healthy", None),
        ({"health": {"freezer": GOOD, "room": FAILING}}, "degraded", "sensor room: absent: gone"),
        ({"health": {"freezer": FAILING, "room": FAILING}}, "broken", "sensor freezer: absent: gone"),
        ({"counts": replace(COUNTS, trouble="not storing: disk full")}, "broken", "spool: not storing: disk full"),
        (
            {"counts": replace(COUNTS, dropped=9)},
            "broken",
            "spool: 9 readings dropped because it was full; told until the daemon is restarted",
        ),
        (
            {"counts": replace(COUNTS, damaged=20)},
            "broken",
            "spool: up to 20 readings lost in a damaged file; told until the daemon is restarted",
        ),
        (
            {"counts": replace(COUNTS, set_aside=4)},
            "degraded",
            "spool: 3 readings set aside until you retry or drop them",
        ),
        ({"counts": replace(COUNTS, pending=299_000)}, "degraded", "spool: 100% full"),
        ({"line": Line(LineState.BACKOFF), "delivered": Delivered(detail="HTTP 503")}, "degraded", "uplink: HTTP 503"),
        (
            {"line": Line(LineState.HOLD), "delivered": Delivered(detail="HTTP 403")},
            "broken",
            "uplink: this device is refused (is its certificate revoked?): HTTP 403",
        ),
        (
            {"line": Line(LineState.MISDIRECTED), "delivered": Delivered(detail="HTTP 200")},
            "broken",
            "uplink: not the shield's answer: HTTP 200",
        ),
        (
            {"identity": Identity(IdentityState.MISSING, detail="not enrolled yet")},
            "degraded",
            "identity: not enrolled yet",
        ),
        ({"identity": Identity(IdentityState.BROKEN, detail="torn")}, "broken", "identity: torn"),
        (
            {
                "identity": replace(
                    IDENTITY, certificate=replace(CERTIFICATE, not_after=datetime(2026, 12, 1, tzinfo=UTC))
                )
            },
            "degraded",
            "identity: the certificate expires in 5 days",
        ),
    ],
)
def test_what_is_wrong_comes_first_with_the_command_that_mends_it(
    changes: dict[str, object], state: str, first: str | None
) -> None:
    status = taken(**changes)
    assert status["state"] == state
    problems = status["problems"]
    assert isinstance(problems, list)
    assert (problems[0]["what"] if problems else None) == first
    assert all(problem["fix"] for problem in problems)


def test_the_worst_problem_is_the_first() -> None:
    status = taken(health={"freezer": GOOD, "room": FAILING}, counts=replace(COUNTS, trouble="disk full"))
    assert [problem["what"] for problem in status["problems"]] == ["spool: disk full", "sensor room: absent: gone"]  # type: ignore[attr-defined]


def test_sensors_that_fail_alike_hide_nothing_else() -> None:
    """Ten of a hundred, a shield that refuses, a spool that dropped: the screen shows six problems."""
    many = {f"s{number}": GOOD for number in range(100)} | {f"s{number}": FAILING for number in range(10)}
    many["s50"] = replace(FAILING, error=Unreadable("crc", "bad", hint="a shorter cable"))
    status = taken(health=many, counts=replace(COUNTS, dropped=9), line=Line(LineState.HOLD))
    assert [problem["what"].partition(" (")[0].partition(" because")[0] for problem in status["problems"]] == [  # type: ignore[attr-defined]
        "spool: 9 readings dropped",
        "uplink: this device is refused",
        "sensors s0, s1, s2 and 7 more: absent",
        "sensor s50: crc: bad",
    ]
    assert [problem["fix"] for problem in status["problems"]][2:] == ["sensor-agent check", "a shorter cable"]  # type: ignore[attr-defined]


def test_sensors_that_fail_alike_keep_the_command_that_mends_all_of_them() -> None:
    gone = replace(FAILING, error=Absent("no_bus", "1-Wire is off", hint="sudo raspi-config"))
    status = taken(health={f"s{number}": gone for number in range(4)})
    assert status["problems"] == [{"what": "sensors s0, s1, s2 and 1 more: no_bus", "fix": "sudo raspi-config"}]


def test_a_stopping_daemon_says_so() -> None:
    assert snapshot(
        CONFIG, MOMENT, health=HEALTH, counts=COUNTS, line=LINE, delivered=DELIVERED, identity=IDENTITY, running=False
    )["state"] == "stopped"  # fmt: skip


@pytest.mark.parametrize(("renew_url", "able"), [("", False), ("https://ra.example.com/client/v4", True)])
def test_it_says_whether_the_identity_renews_by_itself(renew_url: str, able: bool) -> None:
    ends = replace(IDENTITY, certificate=replace(CERTIFICATE, not_after=datetime(2026, 12, 1, tzinfo=UTC)))
    config = replace(CONFIG, enroll=EnrollConfig(renew_url=renew_url))
    parts = {"health": HEALTH, "counts": COUNTS, "line": LINE, "delivered": DELIVERED, "before": COUNTS}
    status = snapshot(config, MOMENT, identity=ends, **parts)  # type: ignore[arg-type]
    assert status["identity"]["can_renew"] is able
    fix = "sudo sensor-agent renew" if able else "sudo sensor-agent enroll --force"
    assert status["problems"][0]["fix"] == fix


@pytest.mark.parametrize(
    ("pending", "seconds"),
    [(0, 90 * 86_400), (129_600, 45 * 86_400), (259_200, 0), (300_000, 0)],
)
def test_it_says_for_how_long_there_is_room(pending: int, seconds: float) -> None:
    config = replace(CONFIG, spool=SpoolConfig(max_readings=259_200, max_age_days=365))  # two readings a minute
    assert room_seconds(pending, config) == seconds


def test_room_ends_with_the_age_limit_and_needs_a_sensor() -> None:
    assert room_seconds(0, replace(CONFIG, spool=SpoolConfig(max_age_days=7))) == 7 * 86_400
    assert room_seconds(0, replace(CONFIG, sensors=())) is None


@pytest.mark.parametrize(
    ("counts", "seconds"),
    [
        (replace(COUNTS, fits=2880), 86_400),  # a disk that is smaller than the limit
        (replace(COUNTS, fits=0), 0),
        (replace(COUNTS, fits=10**9), 149_999 * 60),
        (replace(COUNTS, fits=10**9, trouble="disk full"), 0),
    ],
)
def test_there_is_no_more_room_than_the_disk_has(counts: Counts, seconds: float) -> None:
    assert taken(counts=counts)["spool"]["room_seconds"] == seconds  # type: ignore[index]


@pytest.mark.parametrize(("line", "seconds"), [(LINE, 50.0), (Line(LineState.BACKOFF), None)])
def test_a_backlog_that_leaves_has_an_estimate(line: Line, seconds: float | None) -> None:
    backlog = Backlog().after(200, 440.0).after(100, 490.0)
    assert taken(line=line, backlog=backlog)["spool"]["drained_seconds"] == seconds  # type: ignore[index]


def test_what_lay_there_before_this_daemon_is_counted_and_no_problem() -> None:
    counts = replace(COUNTS, dropped=9, set_aside=4)
    status = taken(counts=counts, before=counts)
    assert (status["state"], status["spool"]["dropped"], status["spool"]["set_aside"]) == ("healthy", 9, 4)  # type: ignore[index]


@pytest.mark.parametrize("dropped", [0, 3])
def test_what_the_owner_has_seen_to_is_no_problem(dropped: int) -> None:
    last, now = replace(COUNTS, set_aside=5), replace(COUNTS, set_aside=2, dropped=dropped)  # sent again, or dropped
    assert taken(counts=now, before=seen_to(replace(COUNTS, set_aside=2), last, now))["state"] == "healthy"


def test_what_is_set_aside_after_the_owner_has_looked_is_news() -> None:
    before = seen_to(replace(COUNTS, set_aside=5), replace(COUNTS, set_aside=5), replace(COUNTS, set_aside=0))
    assert taken(counts=replace(COUNTS, set_aside=1), before=before)["state"] == "degraded"


def test_a_full_spool_is_told_beside_what_the_owner_has_dropped() -> None:
    last, now = replace(COUNTS, set_aside=5, dropped=2), replace(COUNTS, set_aside=0, dropped=7)
    problems = taken(counts=now, before=seen_to(COUNTS, last, now))["problems"]
    assert [problem["what"].partition(" because")[0] for problem in problems] == ["spool: 2 readings dropped"]  # type: ignore[attr-defined]


def keys(found: object, path: str = "") -> set[str]:
    """The path of each value, as docs/status.md writes it: a list of records has its records' keys."""
    if isinstance(found, dict):
        return {key for name in found for key in keys(found[name], f"{path}.{name}" if path else name)}
    if isinstance(found, list) and found and isinstance(found[0], dict):
        return {key for each in found for key in keys(each, f"{path}[]")}
    return {path}


def test_each_key_is_in_the_documentation_and_each_of_those_in_the_status(tmp_path: Path) -> None:
    status: dict[str, Any] = taken(health={"freezer": GOOD, "room": FAILING})
    StatusFile(tmp_path).write(status | {"spool": status["spool"] | Flash().facts()})
    read = status_file.read(tmp_path)
    assert read is not None
    text = (Path(__file__).parent.parent / "docs" / "status.md").read_text(encoding="utf-8")
    table = re.search(r"^\| key \|.*\n\|---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table is not None
    documented = {key for row in table[1].splitlines() for key in re.findall(r"`([^`]+)`", row.split("|")[1])}
    assert documented == keys(read[0])


RESUMED = Stamp(NOW + 60, 1060.0, trusted=True)


def test_the_hours_of_a_sensor_outlive_the_daemon() -> None:
    status = taken(health={"freezer": GOOD, "room": FAILING})
    resumed = trends(status, RESUMED)
    assert {name: trend.points(RESUMED.boot_seconds) for name, trend in resumed.items()} == {"room": [21.5, None]}
    assert resumed["room"].after(23.5, 1900.0).points(1900.0) == [21.5, None, 23.5]


@pytest.mark.parametrize(
    ("change", "now"),
    [
        ({}, Stamp(NOW + 7 * 3600, 1000.0 + 7 * 3600, trusted=True)),  # of this morning
        ({}, Stamp(NOW + 60, 30.0, trusted=True)),  # of another boot
        ({}, Stamp(NOW - 60, 940.0, trusted=True)),  # of the future: the clock was set back
        ({"written": "soon"}, RESUMED),
        ({"written": None}, RESUMED),
        ({"sensors": [{"sensor": "room"}]}, RESUMED),
        ({"sensors": [{"sensor": "room", "trend": {"step_seconds": 60, "celsius": [1.0]}}]}, RESUMED),
        ({"sensors": [{"sensor": "room", "trend": {"step_seconds": 900, "celsius": ["warm"]}}]}, RESUMED),
    ],
)
def test_hours_that_cannot_be_understood_are_forgotten(change: dict[str, object], now: Stamp) -> None:
    assert trends(taken(health={"freezer": GOOD, "room": FAILING}) | change, now) == {}
