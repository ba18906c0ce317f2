"""`history` and `spool` as a user runs them: beside a running daemon, and without one."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from certifi import where
from world.readings import readings
from world.rig import DEFAULTS, FREEZER_TABLE, Rig

from agent.cli import main
from agent.spool import Spool


class Board:
    """Where the commands look: a configuration and a root."""

    def __init__(self, config: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._where, self._capsys = (f"--config={config}", f"--root={root}"), capsys

    def run(self, *arguments: str) -> SimpleNamespace:
        """The command's exit code and what it said."""
        self._capsys.readouterr()
        code = main([*self._where, *arguments])
        said = self._capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=said.out, stderr=said.err)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A daemon that has delivered a few readings of both sensors."""
    with Rig(tmp_path_factory.mktemp("running")) as made:
        made.enroll()
        made.start()
        made.until(lambda: len(made.stored()) >= 6)
        yield made


@pytest.fixture
def running(rig: Rig, capsys: pytest.CaptureFixture[str]) -> Board:
    return Board(rig.config, rig.board, capsys)


@pytest.fixture
def stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Board:
    """A board without a daemon: two readings pending, four set aside."""
    values = {
        "directory": tmp_path,
        "shield": "https://shield.test",
        "api": "https://api.test",
        "ca_file": where(),
    }
    config = tmp_path / "config.toml"
    config.write_text(DEFAULTS.format(**values, zone_id="z1", token_file="/y") + FREEZER_TABLE)
    with Spool(tmp_path / "spool.db") as spool:
        spool.append(readings(*range(1, 7)))
        for spooled in spool.head()[:4]:
            spool.set_aside(spooled.seq, status=400, reason='no, "never"')
    return Board(config, tmp_path / "board", capsys)


def test_history_shows_what_was_delivered_beside_the_daemon(running: Board) -> None:
    done = running.run("history")
    assert done.returncode == 0, done.stderr
    assert "freezer  -18.000 °C at" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(("said", "least", "most"), [("60", 50, 60), ("110", 100, 110), ("900", 110, 120)])
def test_history_is_as_wide_as_columns_says(
    running: Board, monkeypatch: pytest.MonkeyPatch, said: str, least: int, most: int
) -> None:
    monkeypatch.setenv("COLUMNS", said)
    assert least <= max(map(len, running.run("history").stdout.splitlines())) <= most


def test_history_as_json_has_the_points_that_the_shield_stored(running: Board, rig: Rig) -> None:
    sent = {(body["time"], float(body["temperature"])) for body in rig.bodies()}
    answer = json.loads(running.run("history", "--json").stdout)
    points = {(time, celsius) for sensor in answer["sensors"] for time, celsius in sensor["points"]}
    assert [sensor["sensor"] for sensor in answer["sensors"]] == ["freezer", "room"]
    assert sent <= points


def test_history_of_one_sensor_as_csv(running: Board) -> None:
    text = running.run("history", "--csv", "room").stdout
    first, *rows = csv.reader(io.StringIO(text, newline=""))
    assert first == ["sensor", "time", "celsius"]
    assert rows
    assert {(row[0], row[2]) for row in rows} == {("room", "21.5")}
    assert text.count("\r\n") == len(rows) + 1


def test_a_sensor_without_gaps_has_none(running: Board) -> None:
    done = running.run("history", "--gaps", "room")
    assert (done.returncode, done.stdout) == (0, "no gaps\n"), done.stderr
    assert running.run("history", "--gaps", "attic").returncode == 2


def test_history_as_a_picture_is_one_svg_that_needs_nothing_else(running: Board, tmp_path: Path) -> None:
    done = running.run("history", "--since", "1h", "--svg", str(tmp_path / "history.svg"))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "history.svg").read_text()
    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert re.findall(r"(?:href|src|url\()", text) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("history", "--since", "yesterday"), 2, "--since: 'yesterday' is no time"),
        (("history", "--since", "1h", "--until", "2h"), 2, "is not before"),
        (("history", "attic"), 2, "freezer, room"),
        (("history", "--svg", "/absent/x.svg"), 73, "cannot be written"),
        (("spool", "export", "x.xlsx"), 2, "--format csv"),
        (("spool", "replay", "--from", "1h", "--to", "2h"), 2, "is after"),
        (("spool", "set-aside", "drop"), 2, "--all"),
        (("spool", "set-aside", "retry", "--all", "--seq", "1"), 2, "--all alone"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_way_out(
    running: Board, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = running.run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_spool_show_beside_the_daemon(running: Board, rig: Rig) -> None:
    seen = json.loads(running.run("spool", "show", "--json").stdout)
    assert seen["path"] == str(rig.directory / "spool.db")
    assert seen["past"] >= 4
    assert seen["state"] == "ok"
    assert "delivered ones known since" in running.run("spool", "show").stdout


def test_replay_sends_the_same_keys_and_bytes_again(running: Board, rig: Rig) -> None:
    before = {row["idempotency_key"]: row["body"] for row in rig.stored()}
    count = json.loads(running.run("spool", "replay", "--from", "1h", "--to", "0s", "--json").stdout)["replayed"]
    assert count >= 4
    rig.until(lambda: len(rig.stored()) - len({row["idempotency_key"] for row in rig.stored()}) >= count)
    again = [row for row in rig.stored() if row["idempotency_key"] in before]
    assert all(row["body"] == before[row["idempotency_key"]] for row in again)
    rig.until(lambda: json.loads(running.run("spool", "show", "--json").stdout)["again"] == 0)


def test_without_a_daemon_the_spool_is_opened_and_left_as_it_was(stopped: Board) -> None:
    first = stopped.run("spool", "set-aside", "list", "--json")
    again = json.loads(stopped.run("spool", "set-aside", "list", "--json").stdout)["set_aside"]
    assert json.loads(first.stdout)["set_aside"] == again
    assert [(each["seq"], each["status"], each["reason"]) for each in again] == [
        (seq, 400, 'no, "never"') for seq in (1, 2, 3, 4)
    ]


def test_export_gives_everything_that_was_not_delivered(stopped: Board, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    assert "6 readings written" in stopped.run("spool", "export", str(file)).stdout
    rows = list(csv.DictReader(io.StringIO(file.read_bytes().decode(), newline="")))
    assert [(row["where"], row["seq"]) for row in rows] == [
        *(("pending", str(seq)) for seq in (5, 6)),
        *(("set aside", str(seq)) for seq in (1, 2, 3, 4)),
    ]
    assert rows[-1]["reason"] == 'no, "never"'
    lines = stopped.run("spool", "export", "-", "--format", "jsonl").stdout.splitlines()
    assert stopped.run("spool", "export", "-", "--json").stdout.splitlines() == lines
    assert [json.loads(line)["seq"] for line in lines] == [5, 6, 1, 2, 3, 4]
    assert not (tmp_path / "out.csv.new").exists()


def test_set_aside_retry_and_drop_say_how_many_and_what_is_left(stopped: Board) -> None:
    assert stopped.run("spool", "set-aside", "retry", "--seq", "2").stdout.startswith("1 reading to go once more")
    assert json.loads(stopped.run("spool", "set-aside", "drop", "--seq", "1", "--seq", "3", "--json").stdout) == {
        "dropped": 2
    }
    seen = json.loads(stopped.run("spool", "show", "--json").stdout)
    assert (seen["pending"], seen["again"], seen["set_aside"], seen["dropped"]) == (3, 1, 1, 2)


def test_a_spool_that_is_not_there_is_not_made(stopped: Board, tmp_path: Path) -> None:
    (tmp_path / "spool.db").unlink()
    done = stopped.run("spool", "show")
    assert (done.returncode, (tmp_path / "spool.db").exists()) == (73, False)
    assert "next: sensor-agent run" in done.stderr


def test_a_spool_that_another_process_holds_is_named(stopped: Board, tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db"):
        done = stopped.run("history")
    assert done.returncode == 75
    assert "in use by another process" in done.stderr
