"""What a tick costs with 1, 8, 64 and 500 sensors, whether the grid is kept, and what bulk conversion saves. Prints only.

python tests/bench/bench_sensors.py
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath

from world.onewire_bus import played_bus

from agent.clock import Clock
from agent.config import SensorConfig
from agent.devshield.i2c_wire import I2cWire, add_bus, chip_text, install, put_chip
from agent.devshield.onewire_tree import OneWireTree
from agent.sampler import Sampler
from agent.sensors.drivers import open_all
from agent.spool import Spool
from agent.ticks import Ticks

WAIT = threading.Event().wait
TICKS, GRID_TICKS = 30, 5
PER_MASTER, PER_I2C_BUS = 20, 8
CONVERSION_SECONDS = 0.75  # of a DS18B20 at 12 bits


def board(root: Path, count: int) -> list[SensorConfig]:
    """That many sensors in turn of three kinds: DS18B20 on several masters, LM75 on several I2C buses, simulated."""
    configs = []
    for number in range(count):
        kind, place = number % 3, number // 3
        if kind == 0:
            sensor_id = f"28-{number:012x}"
            OneWireTree(root, master=f"w1_bus_master{place // PER_MASTER + 1}").add(sensor_id, 20.0)
            config = SensorConfig(name=f"s{number}", driver="ds18b20", id=sensor_id, interval_seconds=1.0)
        elif kind == 1:
            bus, address = place // PER_I2C_BUS, 0x48 + place % PER_I2C_BUS
            add_bus(root, bus)
            put_chip(root, address, chip_text("word", {"00": "1900", "01": "00"}), number=bus)
            config = SensorConfig(name=f"s{number}", driver="lm75", bus=bus, address=address, interval_seconds=1.0)
        else:
            config = SensorConfig(name=f"s{number}", driver="simulated", interval_seconds=1.0)
        configs.append(config)
    return configs


def ticks_of(root: Path, count: int) -> None:
    """One line of the table: a tick from the grid to the spool's commit, on hardware that answers at once."""
    clock = Clock(trust_any=True, boot_id="bench")
    probes = open_all(board(root, count), root=root, wait=WAIT)
    sampler = Sampler(probes, clock, monotonic=time.monotonic)
    now = 0.0  # the grid's own time, so that ticks follow each other without a pause
    with closing(Spool(root / "spool.db")) as spool:
        ticks = Ticks(probes, sampler, spool, clock, monotonic=lambda: now)
        ticks.tick(patience=60.0)  # with the imports and the first sight of each chip
        took, used = [], time.process_time()
        for _ in range(TICKS):
            now = ticks.next_due
            began = time.perf_counter()
            taken = ticks.tick(patience=60.0)
            took.append(time.perf_counter() - began)
            assert len(taken) == count
            assert not [each.error for each in taken if each.error]
        cpu = (time.process_time() - used) / TICKS
        late = lateness(Ticks(probes, sampler, spool, clock, monotonic=time.monotonic))
    sampler.close()
    lanes = len({probe.sensor.bus for probe in probes})
    print(
        f"{count:7d} {lanes:6d} {statistics.median(took) * 1e3:9.1f} {cpu * 1e3:9.1f} {cpu / count * 1e6:11.0f} "
        f"{late * 1e3:15.1f}"
    )


def lateness(ticks: Ticks) -> float:
    """Of the latest of a few ticks a second apart: how long after its point of the grid it began."""
    worst = 0.0
    for _ in range(GRID_TICKS):
        due = ticks.next_due
        WAIT(max(0.0, due - time.monotonic()))
        worst = max(worst, time.monotonic() - due)
        ticks.tick()
        assert ticks.next_due - due == 1.0, "a point of the grid was skipped"
    return worst


def conversions(root: Path, *, bulk: bool) -> None:
    """One tick of twenty sensors on a bus that takes as long as a real one."""
    ids = [f"28-0000000000{number:02x}" for number in range(20)]
    with played_bus(root, ids, seconds=CONVERSION_SECONDS, bulk=bulk) as converted:
        configs = [SensorConfig(name=each, driver="ds18b20", id=each) for each in ids]
        probes = open_all(configs, root=root, wait=WAIT)
        sampler = Sampler(probes, Clock(trust_any=True, boot_id="bench"), monotonic=time.monotonic)
        began = time.monotonic()
        taken = sampler.tick(probes)
        took = time.monotonic() - began
        sampler.close()
    read = sum(each.celsius is not None for each in taken)
    how = "with therm_bulk_read" if bulk else "one by one"
    print(f"20 DS18B20 {how}: {len(converted)} conversions of {CONVERSION_SECONDS} s, {read} read in {took:.2f} s")


def main() -> None:
    print(f"machine     {os.cpu_count()} cores, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}")
    print("sensors  buses   ms/tick  CPU ms/tick  µs/sensor  latest tick (ms)")
    take_out = install(I2cWire())
    for count in (1, 8, 64, 500):
        with tempfile.TemporaryDirectory() as directory:
            ticks_of(Path(directory), count)
    take_out()
    for bulk in (True, False):
        with tempfile.TemporaryDirectory() as directory:
            conversions(Path(directory), bulk=bulk)


if __name__ == "__main__":
    main()
