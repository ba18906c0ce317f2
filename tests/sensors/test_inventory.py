"""What the agent finds on a board: tables that load as they are, and notes that say what to do."""

from pathlib import Path

from agent.config.sensors import read_sensors
from agent.devshield.i2c_wire import I2cWire, chip_text, put_chip
from agent.devshield.onewire_tree import OneWireTree
from agent.sensors.inventory import probe

CLONE = "28-0316a2795bff"


def board(root: Path) -> None:
    """A board with something of each kind."""
    tree = OneWireTree(root)
    for sensor_id in ("28-00000586475d", CLONE, "10-000000000001", "00-400000000000"):
        tree.add(sensor_id)
    hwmon = root / "sys/class/hwmon"
    files = {
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
        "sys/class/thermal/thermal_zone0/temp": "48000",
        "sys/bus/i2c/devices/1-0048/hwmon/hwmon2/name": "tmp102",
        "sys/bus/i2c/devices/1-0048/hwmon/hwmon2/temp1_input": "20000",
        "sys/bus/i2c/devices/1-0068/name": "ds1307",
        "sys/class/hwmon/hwmon0/name": "cpu_thermal",
        "sys/class/hwmon/hwmon0/temp1_input": "48000",
        "sys/class/hwmon/hwmon1/name": "rpi_volt",
        "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0",
        "sys/class/hwmon/hwmon3/name": "nvme",
        "sys/class/hwmon/hwmon3/temp1_input": "30000",
        "sys/class/hwmon/hwmon4/name": "w1_slave_temp",
        "sys/class/hwmon/hwmon4/temp1_input": "21000",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content + "\n", encoding="ascii")
    (hwmon / "hwmon2").symlink_to(root / "sys/bus/i2c/devices/1-0048/hwmon/hwmon2")
    (hwmon / "hwmon2/device").symlink_to("../../../1-0048")
    for device, driver in (("1-0048", "tmp102"), ("1-0068", "rtc-ds1307")):
        (root / "sys/bus/i2c/devices" / device / "driver").symlink_to(f"../../drivers/{driver}")


def test_every_thing_is_found_once_by_its_stable_name(root: Path) -> None:
    board(root)
    tables, _ = probe(root)
    places = [(table["driver"], table.get("id") or table["device"]) for table in tables]
    assert sorted(places) == [
        ("ds18b20", "28-00000586475d"),
        ("ds18b20", CLONE),
        ("ds18s20", "10-000000000001"),
        ("kernel", "1-0048"),
        ("kernel", "cpu-thermal"),
        ("kernel", "nvme"),
    ]


def test_tables_are_a_valid_configuration(root: Path) -> None:
    board(root)
    OneWireTree(root).add("28-00000001475d")  # would get the name of the first
    tables, _ = probe(root)
    problems: list[str] = []
    assert len(read_sensors(tables, problems)) == 7
    assert problems == []


def test_notes_name_phantoms_clones_claims_and_the_bus(root: Path) -> None:
    board(root)
    whats = [note.what for note in probe(root)[1]]
    for seen in ("00-400000000000", CLONE, "0x48 on i2c-1", "0x68 on i2c-1", "i2c-1 is here"):
        assert sum(seen in what for what in whats) == 1, seen


def test_zones_of_one_type_are_left_out_since_no_name_tells_them_apart(root: Path) -> None:
    for number in (0, 1):
        zone = root / f"sys/class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "type").write_text("cluster-thermal\n", encoding="ascii")
    assert probe(root)[0] == []


def test_board_with_nothing_is_told_how_to_switch_the_buses_on(tmp_path: Path) -> None:
    tables, notes = probe(tmp_path)
    assert tables == []
    assert ["1-Wire is off" in notes[0].what, "I2C is off" in notes[1].what] == [True, True]


def test_no_bus_is_written_to(root: Path, wire: I2cWire) -> None:
    board(root)
    put_chip(root, 0x49, chip_text("word", {"00": "1900"}))
    probe(root)
    assert not wire.writes
