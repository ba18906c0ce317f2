"""What a tick costs with 1, 8, 64 and 500 sensors, whether the grid is kept, and what bulk conversion saves. Prints only.

python tests/bench/bench_sensors.py; draws docs/cost-sensors.svg.
"""

import statistics
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath

from bench.plot import draw
from bench.table import figure, machine, table
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
PICTURE = Path(__file__).parents[2] / "docs/cost-sensors.svg"
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


@dataclass(frozen=True, slots=True)
class TickCost:
    """Of one tick with so many `sensors` on so many buses: seconds it took, of CPU, and of lateness."""

    sensors: int
    buses: int
    took: float
    cpu: float
    late: float


def ticks_of(root: Path, count: int) -> TickCost:
    """A tick from the grid to the spool's commit, on hardware that answers at once."""
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
    buses = len({probe.sensor.bus for probe in probes})
    return TickCost(count, buses, statistics.median(took), cpu, late)


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


def conversions(root: Path, *, bulk: bool) -> tuple[object, ...]:
    """A row: one tick of twenty sensors on a bus that takes as long as a real one."""
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
    return ("with therm_bulk_read" if bulk else "one by one", len(converted), read, figure(took, 2))


def main() -> None:
    machine()
    take_out = install(I2cWire())
    costs = []
    for count in (1, 8, 64, 500):
        with tempfile.TemporaryDirectory() as directory:
            costs.append(ticks_of(Path(directory), count))
    take_out()
    table(
        "A tick by sensors, a third each DS18B20, LM75 and simulated",
        ("sensors", "buses", "ms", "ms CPU", "µs CPU a sensor", "latest, ms"),
        [
            (
                each.sensors,
                each.buses,
                figure(each.took * 1e3, 1),
                figure(each.cpu * 1e3, 1),
                figure(each.cpu / each.sensors * 1e6),
                figure(each.late * 1e3, 1),
            )
            for each in costs
        ],
    )
    draw(
        PICTURE,
        "CPU of a tick",
        "sensors",
        "ms of CPU",
        {
            "whole tick": [(each.sensors, each.cpu * 1e3) for each in costs],
            "per sensor": [(each.sensors, each.cpu / each.sensors * 1e3) for each in costs],
        },
    )
    rows = []
    for bulk in (True, False):
        with tempfile.TemporaryDirectory() as directory:
            rows.append(conversions(Path(directory), bulk=bulk))
    table(
        f"Twenty DS18B20 on one bus, {CONVERSION_SECONDS} s a conversion", ("", "conversions", "read", "seconds"), rows
    )


if __name__ == "__main__":
    main()
