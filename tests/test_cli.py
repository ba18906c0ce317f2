"""The commands as a user runs them: answers on stdout, talk on stderr, exit codes as promised."""

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from world.rig import FREEZER, FREEZER_TABLE, ROOM_TABLE, Rig

from agent.cli import main, parser, plain_run


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A board that is enrolled and whose shield is up; tests must leave it so."""
    with Rig(tmp_path_factory.mktemp("enrolled")) as made:
        made.enroll()
        yield made


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path) as made:
        yield made


def test_read_gives_every_sensor_with_its_instant(enrolled: Rig) -> None:
    done = enrolled.run("read", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0
    assert [(each["sensor"], each["driver"], each["celsius"], each["error"]) for each in answer["readings"]] == [
        ("freezer", "ds18b20", -18.0, None),
        ("room", "tmp102", 21.5, None),
    ]
    assert all(each["time"].endswith("Z") for each in answer["readings"])


def test_read_of_a_failing_sensor_says_why_and_exits_1(rig: Rig) -> None:
    rig.tree.shorted(FREEZER)
    done = rig.run("read", "--json")
    first = json.loads(done.stdout)["readings"][0]
    assert done.returncode == 1
    assert (first["celsius"], first["error"]) == (None, "implausible")
    assert "bus_shorted" in first["reason"]


def test_read_takes_names_and_refuses_unknown_ones(enrolled: Rig) -> None:
    assert enrolled.run("read", "room").stdout.startswith("room: 21.500 °C at ")
    unknown = enrolled.run("read", "romo")
    assert unknown.returncode == 2
    assert "room" in unknown.stderr


def test_run_once_reads_stores_and_delivers(enrolled: Rig) -> None:
    before = len(enrolled.bodies())
    done = enrolled.run("run", "--once", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (answer["spool"]["pending"], answer["uplink"]["acknowledged"]) == (0, 2)
    assert len(enrolled.bodies()) == before + 2


def test_run_once_without_an_identity_keeps_its_readings_and_says_what_to_do(rig: Rig) -> None:
    done = rig.run("run", "--once")
    assert done.returncode == 78
    assert "pending 2, line unenrolled" in done.stdout
    assert "freezer: -18.000 °C" in done.stdout


def test_run_once_without_a_shield_exits_75(enrolled: Rig) -> None:
    enrolled.stop_shield()
    done = enrolled.run("run", "--once", "--json")
    enrolled.start_shield()
    assert done.returncode == 75
    assert json.loads(done.stdout)["spool"]["pending"] == 2
    assert enrolled.run("run", "--once").returncode == 0


def test_check_of_a_well_board_finds_nothing(enrolled: Rig) -> None:
    done = enrolled.run("check", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0
    assert answer["ok"] is True
    assert {each["name"]: each["result"] for each in answer["checks"]} == {
        "configuration": "ok", "device": "ok", "1-wire": "ok", "i2c-1": "ok", "sensor freezer": "ok",
        "sensor room": "ok", "clock": "ok", "spool": "ok", "identity": "ok", "token": "warn", "network": "ok",
        "tls": "ok", "rule": "ok", "shield": "ok", "daemon": "warn",
    }  # fmt: skip


def test_check_names_the_fix_of_what_fails(rig: Rig) -> None:
    rig.tree.remove(FREEZER)
    done = rig.run("check", "--json")
    failed = {each["name"]: each for each in json.loads(done.stdout)["checks"] if each["result"] == "fail"}
    assert done.returncode == 1
    assert set(failed) == {"1-wire", "sensor freezer", "identity"}
    assert failed["identity"]["fix"] == "sudo sensor-agent enroll"
    assert failed["sensor freezer"]["fix"]


def test_check_says_when_the_shield_asks_for_no_certificate(enrolled: Rig) -> None:
    # the API's port asks for none, as a host does whose operator forgot to turn mTLS on
    enrolled.configure(FREEZER_TABLE, shield=enrolled.where["api"])
    done = enrolled.run("check", "--json")
    enrolled.configure(FREEZER_TABLE + ROOM_TABLE)
    (rule,) = [each for each in json.loads(done.stdout)["checks"] if each["name"] == "rule"]
    assert rule["result"] == "warn"
    assert "without a certificate" in rule["saw"]
    assert "shield setup" in rule["fix"]


def test_check_offline_asks_nobody(enrolled: Rig) -> None:
    before = enrolled.requests()
    done = enrolled.run("check", "--offline")
    assert done.returncode == 0
    assert "shield" not in done.stdout.split()
    assert enrolled.requests() == before


def test_mistakes_of_the_configuration_are_all_told_and_nothing_is_touched(rig: Rig) -> None:
    rig.config.write_text(
        '[uplink]\nurl = "http://plain"\ntimeout_second = 3\n[[sensors]]\nname = "a"\ndriver = "tmp102"\naddress = 0x99\n'
    )
    done = rig.run("run", "--once")
    assert done.returncode == 78
    for path in ("uplink.url", "uplink.timeout_second", "sensors[0].address"):
        assert path in done.stderr
    assert not (rig.directory / "spool.db").exists()
    checked = rig.run("check", "--json")
    assert checked.returncode == 78
    assert json.loads(checked.stdout)["ok"] is False


def test_a_spool_of_somebody_else_is_refused_unchanged(rig: Rig) -> None:
    theirs = rig.directory / "spool.db"
    theirs.write_bytes(b"somebody's diary\n" * 100)
    done = rig.run("run", "--once")
    assert done.returncode == 78
    assert "not touched" in done.stderr
    assert theirs.read_bytes() == b"somebody's diary\n" * 100


def test_enroll_makes_a_pair_and_again_does_nothing(rig: Rig) -> None:
    first = json.loads(rig.run("enroll", "--json").stdout)
    assert (first["state"], first["changed"], first["issuer"]) == ("enrolled", True, "cloudflare")
    assert first["name"] == "sensor-001.devices.example.com"
    assert all(step["ok"] for step in first["steps"])
    key = rig.directory / "etc/sensor-key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    Path(rig.where["token_file"]).rename(rig.directory / "token-away")
    again = rig.run("enroll", "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["changed"] is False


def test_enroll_takes_the_token_from_stdin(rig: Rig) -> None:
    token = Path(rig.where["token_file"]).read_bytes()
    assert rig.run("enroll", "--token-stdin", stdin=token).returncode == 0


def test_enroll_with_a_wrong_token_is_refused_and_never_shows_it(rig: Rig) -> None:
    done = rig.run("enroll", "--token-stdin", "--json", stdin=b"wrong-token-123456\n")
    assert done.returncode == 77
    assert "wrong-token" not in done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert (answer["state"], answer["changed"]) == ("refused", False)
    assert answer["steps"][-1]["ok"] is False


def test_enroll_without_a_token_says_where_it_looked(rig: Rig) -> None:
    done = rig.run("enroll", "--token-file", "/nowhere/token")
    assert done.returncode == 77
    assert "/nowhere/token" in done.stderr


def test_a_rehearsed_enrollment_writes_nothing(rig: Rig) -> None:
    done = rig.run("enroll", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    assert [step["name"] for step in json.loads(done.stdout)["steps"]] == [
        "identity",
        "places",
        "clock",
        "request",
        "issuer",
    ]
    assert not (rig.directory / "identity").exists()
    assert not (rig.directory / "etc").exists()


def test_a_rehearsal_ends_well_where_enroll_would_have_nothing_to_do(rig: Rig) -> None:
    rig.enroll()
    done = rig.run("enroll", "--dry-run", "--json")
    assert [step["name"] for step in json.loads(done.stdout)["steps"]] == ["identity"]
    for file in (rig.directory / "etc").iterdir():
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content)  # no link of ours any more
    done = rig.run("enroll", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "next: sensor-agent status" in done.stderr
    done = rig.run("enroll", "--dry-run", "--force")
    assert done.returncode == 78
    assert "put there by somebody else" in done.stderr


def test_a_tick_that_cannot_be_delivered_says_why_and_what_is_next(rig: Rig) -> None:
    done = rig.run("run", "--once")
    assert done.returncode == 78
    assert "sensor-agent: identity: no certificate at" in done.stderr
    assert "  next: sudo sensor-agent enroll\n" in done.stderr
    rig.enroll()
    rig.stop_shield()
    done = rig.run("run", "--once")
    assert done.returncode == 75
    assert (
        "sensor-agent: uplink: ConnectionRefusedError: Connection refused\n  next: sensor-agent check\n" in done.stderr
    )


def test_status_of_a_daemon_that_never_ran_says_so(rig: Rig) -> None:
    done = rig.run("status")
    assert done.returncode == 2
    assert "no daemon has run since boot" in done.stderr


def test_status_follows_the_daemon_from_its_start_to_its_end(rig: Rig) -> None:
    rig.enroll()
    daemon = rig.start()
    rig.until(lambda: rig.line() == "online" and rig.status()["state"] == "healthy")
    shown = rig.run("status")
    assert shown.returncode == 0
    assert shown.stdout.startswith("healthy")
    assert "freezer" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 100
    rig.stop(daemon)
    stopped = rig.run("status", "--json")
    assert stopped.returncode == 2
    assert json.loads(stopped.stdout)["state"] == "stopped"


def test_status_of_a_killed_daemon_is_stopped(rig: Rig) -> None:
    daemon = rig.start()
    rig.until(rig.status)
    daemon.kill()
    daemon.wait()
    assert json.loads(rig.run("status", "--json").stdout)["state"] == "stopped"


COMMANDS = [["read"], ["identity", "show"], ["spool", "set-aside", "list"], ["shield", "authority", "list"]]


@pytest.mark.parametrize(("words", "place"), [(words, place) for words in COMMANDS for place in range(len(words) + 1)])
def test_config_and_root_stand_before_or_after_the_command(words: list[str], place: int) -> None:
    options = ["--config", "/a.toml", "--root", "/board"]
    args = parser().parse_args([*words[:place], *options, *words[place:]])
    assert (args.config, args.root) == (Path("/a.toml"), Path("/board"))


@pytest.mark.parametrize("given", ["-5", "nan", "inf", "soon", ""])
@pytest.mark.parametrize("command", [["enroll"], ["renew"]])
def test_a_wait_that_is_no_time_is_a_usage_error(
    command: list[str], given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, f"--wait={given}"])
    assert ended.value.code == 2
    assert f"--wait: {given!r} is no number of 0 or more" in capsys.readouterr().err


def test_a_command_that_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sing"])
    assert ended.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


def test_the_demo_tells_its_whole_story(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    done = subprocess.run(
        [sys.executable, "-m", "agent", "demo", "--keep", str(kept), "--seconds", "0.1"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 9 steps held" in done.stdout
    assert done.stderr == ""
    for line in ("curl --cacert", "daemon.log", "requests.jsonl"):
        assert line in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        "run",
        "run --config=/a.toml",
        "--config=/a.toml run",
        "--root=/b --config=a=b run",
        "--config=/a.toml run --config=/c.toml --root=",
    ],
)
def test_the_units_command_line_means_without_the_parser_what_it_means_with_it(words: str) -> None:
    plain = plain_run(words.split())
    assert plain is not None
    assert vars(plain) == vars(parser(["run"]).parse_args(words.split()))


@pytest.mark.parametrize("words", ["", "run --once", "run -v", "run --config /a", "--conf=/a run", "run run", "read"])
def test_every_other_command_line_is_for_the_parser(words: str) -> None:
    assert plain_run(words.split()) is None
