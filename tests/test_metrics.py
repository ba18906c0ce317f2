"""The metrics of a status, read by the client library's own parser, and the alerts that are written for them."""

import re
import stat
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from world.disk import Disk
from world.statuses import ILL, SPOOL, WELL, sensor

from agent.cli.metrics import LINES, STATES, metrics, replace_file
from agent.delivery import LineState
from agent.errors import CannotWrite

MONITORING: Final = Path(__file__).parent.parent / "packaging" / "monitoring"
UNITS: Final = ("celsius", "seconds", "bytes", "readings", "total")
# gauges that count or say yes and no, which have no unit
BARE: Final = {"up", "build_info", "state", "problems", "sensor_consecutive_failures", "spool_storing", "uplink_state",
               "uplink_consecutive_failures", "clock_synchronised"}  # fmt: skip


def families(found: dict[str, Any] | None) -> dict[str, Metric]:
    """By name without the prefix; a counter's without `_total`, as the parser has it."""
    parsed = {each.name.removeprefix("sensor_agent_"): each for each in text_string_to_metric_families(metrics(found))}
    assert all(each.name.startswith("sensor_agent_") for each in text_string_to_metric_families(metrics(found)))
    return parsed


def value(found: dict[str, Any] | None, name: str, **labels: str) -> float | None:
    """The one sample of that name and those labels, if there is one."""
    for family in text_string_to_metric_families(metrics(found)):
        for sample in family.samples:
            if sample.name == f"sensor_agent_{name}" and labels.items() <= sample.labels.items():
                return float(sample.value)
    return None


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("up", {}, 1),
        ("state", {"state": "degraded"}, 1),
        ("state", {"state": "healthy"}, 0),
        ("build_info", {"version": "0.1.0"}, 1),
        ("problems", {}, 2),
        ("start_time_seconds", {}, 1_795_348_800),
        ("sensor_temperature_celsius", {"sensor": "freezer", "driver": "ds18b20"}, -18),
        ("sensor_temperature_celsius", {"sensor": "room"}, None),  # it failed: no number stands in
        ("sensor_last_reading_timestamp_seconds", {"sensor": "room"}, 1_795_590_000),
        ("sensor_consecutive_failures", {"sensor": "room"}, 300),
        ("sensor_failures_total", {"sensor": "room"}, 300),
        ("spool_pending_readings", {}, 12_345),
        ("spool_dropped_readings_total", {}, 0),
        ("spool_room_seconds", {}, 104 * 86_400),
        ("spool_flash_written_today_bytes", {}, 2_345_678),
        ("spool_storing", {}, 1),
        ("uplink_state", {"state": "backoff"}, 1),
        ("uplink_posts_total", {}, 5),
        ("certificate_expiry_timestamp_seconds", {}, 1_813_017_600),
    ],
)
def test_what_the_status_says_is_what_is_measured(name: str, labels: dict[str, str], expected: float | None) -> None:
    assert value(ILL, name, **labels) == expected


def test_names_follow_the_conventions() -> None:
    for name, family in families(ILL).items():
        assert family.documentation.endswith("."), name
        assert family.type in {"gauge", "counter"}, name
        assert family.type == "counter" or name.endswith(UNITS) or name in BARE, name
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name


def test_no_state_is_missing() -> None:
    assert set(LINES) == {state.value for state in LineState}
    assert sum(value(ILL, "state", state=state) or 0 for state in STATES) == 1


@pytest.mark.parametrize("name", ['a "quoted" one', "back\\slash", "zwölf °C", "{brace}, comma"])
def test_any_name_of_a_sensor_is_a_label(name: str) -> None:
    assert value(WELL | {"sensors": [sensor(name, 1.5)]}, "sensor_temperature_celsius", sensor=name) == 1.5


def test_a_board_without_a_daemon_is_down() -> None:
    assert metrics(None).splitlines()[-1] == "sensor_agent_up 0"
    assert value(WELL | {"state": "stopped"}, "up") == 0


def test_a_stopped_daemon_has_no_temperature_of_now() -> None:
    told = metrics(WELL, current=False)
    assert "sensor_temperature_celsius" not in told
    assert "uplink_state" not in told
    assert "sensor_last_reading_timestamp_seconds" in told
    assert "spool_pending_readings" in told


def test_what_is_not_known_is_left_out() -> None:
    bare = WELL | {"sensors": [], "spool": SPOOL | {"room_seconds": None}}
    assert {"sensor_temperature_celsius", "spool_room_seconds", "spool_oldest_reading_timestamp_seconds"}.isdisjoint(
        families(bare)
    )


def test_the_file_is_replaced_as_a_whole_and_anyone_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "sensor-agent.prom"
    file.write_text("old")
    before = file.open()
    replace_file(file, metrics(WELL))
    with before:
        assert before.read() == "old"
    assert file.read_text() == metrics(WELL)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == [file.name]


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="No such file") as told:
        replace_file(tmp_path / "gone" / "x.prom", "")
    assert str(tmp_path / "gone") in told.value.hint


def test_a_write_that_fails_leaves_nothing_behind(disk: Disk) -> None:
    disk.fill()
    with pytest.raises(CannotWrite, match="No space left") as told:
        replace_file(disk.path / "x.prom", metrics(WELL))
    assert [each.name for each in disk.path.iterdir()] == ["ballast"]
    assert f"df {disk.path}" in told.value.hint


def test_alerts_ask_for_metrics_that_there_are() -> None:
    asked = set(re.findall(r"sensor_agent_[a-z_]+", (MONITORING / "alerts.yml").read_text()))
    told = {sample.name for family in families(ILL).values() for sample in family.samples}
    assert asked
    assert asked <= told
