"""`sensor-agent probe` on boards where everything that can be wrong is wrong."""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest

from agent.config.sensors import read_sensors
from agent.devshield.i2c_wire import add_bus
from agent.devshield.onewire_tree import OneWireTree
from agent.sensors.inventory import probe

GENUINE, CLONE, PARASITE, UNDRIVEN, PHANTOM = (
    "28-00000586475d",
    "28-0316a2795bff",
    "28-00000000001b",
    "28-000000000abc",
    "00-400000000000",
)
CONFIG = """
[uplink]
url = "https://shield.example.com/temps"
ca_file = "{ca_file}"
[[sensors]]
name = "freezer"
driver = "ds18b20"
id = "28-00000586475d"
[[sensors]]
name = "gone"
driver = "ds18b20"
id = "28-0000000000aa"
[[sensors]]
name = "no bus"
driver = "tmp102"
bus = 7
[[sensors]]
name = "taken"
driver = "tmp102"
[[sensors]]
name = "unknown"
driver = "kernel"
device = "gpu-thermal"
[[sensors]]
name = "not asked"
driver = "bmp280"
"""


def put(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content + "\n", encoding="ascii")


def wrong_board(root: Path) -> None:
    """A Pi with one healthy sensor, and every trouble that can be there beside it."""
    tree = OneWireTree(root)
    for each in (GENUINE, CLONE, PARASITE, UNDRIVEN, PHANTOM):
        tree.add(each)
    devices = root / "sys/devices/w1_bus_master1"
    (devices / UNDRIVEN / "w1_slave").unlink()
    (devices / PARASITE / "ext_power").write_text("0\n")
    (devices / GENUINE / "ext_power").write_text("1\n")
    add_bus(root)
    (root / "dev/i2c-1").chmod(0o600)
    put(
        root,
        {
            "sys/bus/i2c/devices/i2c-1/name": "bcm2835 (i2c@7e804000)",
            "sys/bus/i2c/devices/i2c-3/name": "an adapter whose module is missing",
            "sys/bus/i2c/devices/1-0048/hwmon/hwmon2/name": "tmp102",
            "sys/bus/i2c/devices/1-0048/hwmon/hwmon2/temp1_input": "20000",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
            "sys/class/thermal/thermal_zone0/temp": "48000",
        },
    )
    (root / "sys/bus/i2c/devices/1-0048/driver").symlink_to("../../drivers/tmp102")


def run(root: Path, *arguments: str) -> str:
    """The answer of the command on that board; the configuration lies beside the root."""
    (root / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    config = root / "config.toml"
    words = ["probe", f"--config={config}", f"--root={root}", *arguments]
    command = [sys.executable, "-m", "agent.devshield.board", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def configure(root: Path, text: str = CONFIG) -> None:
    (root / "config.toml").write_text(text.format(ca_file=root / "ca.pem"))


def fixes(root: Path) -> dict[str, str]:
    return {note.what: note.fix for note in probe(root)[1]}


EXPECTED = {
    "sensor 'gone' is configured but 28-0000000000aa is on no 1-Wire bus": f"was it replaced? {PARASITE}",
    "sensor 'no bus' is configured but /dev/i2c-7 is missing": "do_i2c 0",
    "sensor 'taken' is configured but 0x48 on i2c-1 is claimed by kernel driver 'tmp102'": 'device = "1-0048"',
    "sensor 'unknown' is configured but the kernel has no temperature 'gpu-thermal'": "names that probe prints",
    f"the 1-Wire line floats: it makes up {PHANTOM}": "4.7 kΩ",
    f"{CLONE} may be a clone of a DS18B20": "offset_celsius",
    f"{PARASITE} takes its power from the data line": "supply pin to 3.3 V",
    f"{UNDRIVEN} has no w1_slave file: the kernel module w1_therm is not loaded": "modprobe w1-therm",
    "i2c-3 is on, but /dev/i2c-3 is missing: module i2c-dev is not loaded": "modprobe i2c-dev",
    "/dev/i2c-1 is closed to its group, and so to the daemon (mode 0600)": 'GROUP="i2c"',
    "i2c-1 is here; its chips are not looked for": "i2cdetect -y -r 1",
    "0x48 on i2c-1 is claimed by kernel driver 'tmp102'": 'driver = "kernel", device = "1-0048"',
}


def test_every_trouble_is_told_once_with_its_fix(tmp_path: Path) -> None:
    wrong_board(tmp_path)
    configure(tmp_path)
    answer: dict[str, Any] = json.loads(run(tmp_path, "--json"))
    for what, fix in EXPECTED.items():
        (found,) = [note for note in answer["notes"] if note["what"].startswith(what)]
        assert fix in found["fix"]
    assert len(answer["notes"]) == len(EXPECTED)


def test_everything_readable_is_a_table_in_spite_of_its_broken_neighbours(tmp_path: Path) -> None:
    wrong_board(tmp_path)
    configure(tmp_path)
    places = [table.get("id") or table["device"] for table in json.loads(run(tmp_path, "--json"))["sensors"]]
    assert sorted(places) == sorted([GENUINE, CLONE, PARASITE, "cpu-thermal", "1-0048"])


def test_answer_can_be_pasted_and_leaves_out_what_is_configured(tmp_path: Path) -> None:
    wrong_board(tmp_path)
    configure(tmp_path)
    pasted = (tmp_path / "config.toml").read_text() + run(tmp_path)
    problems: list[str] = []
    sensors = read_sensors(tomllib.loads(pasted)["sensors"], problems)
    assert problems == []
    assert len(sensors) == 6 + 4
    assert f"# {GENUINE} is configured as 'freezer'" in pasted


def test_board_without_a_configuration_is_probed_all_the_same(tmp_path: Path) -> None:
    wrong_board(tmp_path)
    answer = json.loads(run(tmp_path, "--json"))
    assert len(answer["sensors"]) == 5
    assert not [note for note in answer["notes"] if "configured" in note["what"]]


def test_mistake_in_the_configuration_is_a_note(tmp_path: Path) -> None:
    configure(tmp_path, "[uplink]\nurl = 3\n")
    first = json.loads(run(tmp_path, "--json"))["notes"][0]
    assert ("uplink.url" in first["what"], first["fix"]) == (True, "sensor-agent check --offline")


@pytest.mark.parametrize("file", ["boot/firmware/config.txt", "boot/config.txt"])
def test_overlays_that_are_missing_are_named_with_what_switches_them_on(tmp_path: Path, file: str) -> None:
    put(tmp_path, {file: "#dtparam=i2c_arm=on\ndtparam=spi=on\n#dtoverlay=w1-gpio\ndtparam=i2c_arm=off"})
    assert fixes(tmp_path) == {
        f"1-Wire is off (no /sys/bus/w1/devices): /{file} lacks dtoverlay=w1-gpio": (
            "sudo raspi-config nonint do_onewire 0 && sudo reboot"
            " # elsewhere: dtoverlay=w1-gpio in config.txt; only if there is a sensor on it"
        ),
        f"I2C is off (no /dev/i2c-*): /{file} lacks dtparam=i2c_arm=on": (
            "sudo raspi-config nonint do_i2c 0 && sudo reboot"
            " # elsewhere: dtparam=i2c_arm=on in config.txt; only if there is a sensor on it"
        ),
    }


@pytest.mark.parametrize("one_wire", ["dtoverlay=w1-gpio", "dtoverlay=w1-gpio,gpiopin=17", "dtoverlay=w1-gpio-pullup"])
@pytest.mark.parametrize(
    "i2c", ["dtparam=i2c_arm=on", "dtparam=spi=on,i2c_arm=on", "dtparam=i2c=on", "dtparam=i2c_arm"]
)
def test_overlay_that_is_there_already_wants_a_reboot(tmp_path: Path, one_wire: str, i2c: str) -> None:
    put(tmp_path, {"boot/firmware/config.txt": f"[all]\n  {one_wire}\n{i2c}"})
    assert [fix.startswith("sudo reboot") for fix in fixes(tmp_path).values()] == [True, True]


def test_board_that_is_no_pi_is_told_what_is_off(tmp_path: Path) -> None:
    assert [what.partition(" (")[0] for what in fixes(tmp_path)] == ["1-Wire is off", "I2C is off"]


def test_master_without_sensors_is_a_matter_of_wiring(tmp_path: Path) -> None:
    OneWireTree(tmp_path)
    add_bus(tmp_path)
    assert "4.7 kΩ" in fixes(tmp_path)["w1_bus_master1 has no sensor on it"]


def test_one_wire_core_without_a_master_counts_as_off(tmp_path: Path) -> None:
    (tmp_path / "sys/bus/w1/devices").mkdir(parents=True)
    assert "1-Wire is off (no 1-Wire bus in /sys/bus/w1/devices)" in fixes(tmp_path)


def test_file_of_a_bus_that_its_group_may_open_is_no_trouble(tmp_path: Path) -> None:
    add_bus(tmp_path)
    (tmp_path / "dev/i2c-1").chmod(0o660)
    assert not [what for what in fixes(tmp_path) if "/dev/i2c-1 " in what]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_user_outside_of_the_group_is_told_how_to_get_in() -> None:
    # not tmp_path: each start of pytest closes its directory to others, even for one that is still running
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        add_bus(Path(directory))
        Path(directory, "dev/i2c-1").chmod(0o660)
        seen = notes_for_nobody(directory)
    assert "/dev/i2c-1 may not be opened by this user" in seen
    assert "usermod -aG i2c" in seen


def notes_for_nobody(root: str) -> str:
    """What probe notes on that board when nobody runs it."""
    # everything is imported before, for the interpreter itself may be out of nobody's reach
    program = f"""
import os
from pathlib import Path
from agent.sensors.inventory import probe
root = Path({root!r})
probe(root)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print(probe(root)[1])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout
