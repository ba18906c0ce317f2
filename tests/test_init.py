"""`init`: a configuration that loads, of what is on the board, and never instead of one that is there."""

import contextlib
import io
import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from world.disk import Disk
from world.enrollee import own_log
from world.users import as_nobody, let_in

from agent import cli
from agent.config import load
from agent.devshield.onewire_tree import OneWireTree

URL = "https://shield.test/temps"


def init(home: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    """Run it on the board `home/board`; gives exit code, answer and talk."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), own_log():
        code = cli.main(
            ["--config", str(home / "etc/config.toml"), "--root", str(home / "board"), "init", "--json", *words]
        )
    return code, json.loads(out.getvalue() or "{}"), err.getvalue()


def with_sensors(home: Path) -> None:
    """Two DS18B20, a chip of a kernel driver, and the processor's own temperature."""
    tree = OneWireTree(home / "board")
    tree.add("28-00000586475d")
    tree.add("28-000000000abc")
    files = {
        "sys/bus/i2c/devices/1-0048/hwmon/hwmon2/name": "tmp102",
        "sys/bus/i2c/devices/1-0048/hwmon/hwmon2/temp1_input": "20000",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
        "sys/class/thermal/thermal_zone0/temp": "48000",
        "sys/firmware/devicetree/base/serial-number": "1000abcd\0",
    }
    for name, text in files.items():
        file = home / "board" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_what_is_found_is_configured_and_loads(tmp_path: Path) -> None:
    with_sensors(tmp_path)
    code, said, _ = init(tmp_path, "--url", URL, "--name", "sensor-7")
    config = load(tmp_path / "etc/config.toml")
    assert (code, said["next"]) == (0, "sensor-agent check")
    assert (config.uplink.url, config.device.name) == (URL, "sensor-7")
    assert [(each.driver, each.id or each.device) for each in config.sensors] == [
        ("ds18b20", "28-000000000abc"),
        ("ds18b20", "28-00000586475d"),
        ("kernel", "1-0048"),
    ]
    assert [each["name"] for each in said["sensors"]] == [each.name for each in config.sensors]


def test_the_processors_temperature_waits_behind_a_number_sign(tmp_path: Path) -> None:
    with_sensors(tmp_path)
    init(tmp_path, "--url", URL)
    text = (tmp_path / "etc/config.toml").read_text()
    assert '#device = "cpu-thermal"' in text
    freed = text[: text.index("# The board's")] + text[text.index("# The board's") :].replace("\n#", "\n")
    assert tomllib.loads(freed.replace("The board's", "# The board's", 1).replace("# # ", "# "))["sensors"][-1] == {
        "name": "cpu-thermal", "driver": "kernel", "device": "cpu-thermal",
    }  # fmt: skip


def test_the_name_is_shown_while_nobody_gives_one(tmp_path: Path) -> None:
    with_sensors(tmp_path)
    init(tmp_path, "--url", URL)
    assert '#name = "rpi-1000abcd"' in (tmp_path / "etc/config.toml").read_text()


def test_without_hardware_and_url_it_says_what_is_missing(tmp_path: Path) -> None:
    code, said, _ = init(tmp_path)
    config = load(tmp_path / "etc/config.toml")
    assert (code, config.sensors) == (0, ())
    assert "uplink.url" in said["next"]
    assert ["1-Wire is off" in said["notes"][0]["what"], "I2C is off" in said["notes"][1]["what"]] == [True, True]
    assert "No sensor was found" in (tmp_path / "etc/config.toml").read_text()


@pytest.mark.parametrize("there", ["a file", "a link to nothing"])
def test_what_is_there_is_never_overwritten(tmp_path: Path, there: str) -> None:
    file = tmp_path / "etc/config.toml"
    file.parent.mkdir()
    if there == "a file":
        file.write_text("mine\n")
    else:
        file.symlink_to("elsewhere.toml")
    code, _, said = init(tmp_path, "--url", URL)
    assert (code, "next: sensor-agent check" in said) == (78, True)
    assert list(file.parent.iterdir()) == [file]
    assert there != "a file" or file.read_text() == "mine\n"


@pytest.mark.parametrize("words", [["--url", "http://plain.test"], ["--url", URL, "--name", "no spaces"]])
def test_a_value_that_is_not_valid_writes_nothing(tmp_path: Path, words: list[str]) -> None:
    code, _, said = init(tmp_path, *words)
    assert (code, "must be" in said) == (78, True)
    assert not (tmp_path / "etc").exists()


def test_a_url_in_a_drop_in_is_left_there(tmp_path: Path) -> None:
    (tmp_path / "etc/conf.d").mkdir(parents=True)
    (tmp_path / "etc/conf.d/fleet.toml").write_text(f'[uplink]\nurl = "{URL}"\n')
    code, said, _ = init(tmp_path)
    assert (code, said["next"]) == (0, "sensor-agent check")
    assert load(tmp_path / "etc/config.toml").uplink.url == URL
    assert "url =" not in (tmp_path / "etc/config.toml").read_text()


@pytest.mark.parametrize("mode", [0o755, 0o700], ids=["to be seen", "not to be seen"])
def test_without_the_right_to_write_it_says_who_has_it(tmp_path: Path, mode: int) -> None:
    let_in(tmp_path)
    (tmp_path / "etc").mkdir(mode=mode)
    with as_nobody():
        code, _, said = init(tmp_path, "--url", URL)
    again = f"next: sudo sensor-agent --config {tmp_path}/etc/config.toml init --url={URL}\n"
    assert (code, again in said) == (73, True), said


def test_the_service_may_read_it_whatever_roots_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert init(tmp_path, "--url", URL)[0] == 0
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    made = tmp_path / "etc", tmp_path / "etc/config.toml"
    assert [file.stat().st_mode & 0o777 for file in made] == [0o755, 0o644]


def test_a_full_disk_leaves_no_half_a_configuration_in_the_way(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "etc").symlink_to(disk.path)
    disk.fill()
    code, _, said = init(tmp_path, "--url", URL)
    assert (code, "No space left" in said, "next: findmnt" in said) == (73, True, True), said
    disk.free()
    assert list(disk.path.iterdir()) == []
    assert init(tmp_path, "--url", URL)[0] == 0


def test_a_missing_configuration_leads_here(tmp_path: Path) -> None:
    err = io.StringIO()
    with contextlib.redirect_stderr(err), own_log():
        assert cli.main(["--config", str(tmp_path / "config.toml"), "read"]) == 78
    assert f"next: sudo sensor-agent --config {tmp_path}/config.toml init --url URL" in err.getvalue()
