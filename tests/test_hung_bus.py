"""A bus that hangs in the kernel, from the grid to the spool: the others keep their grid from its first moment on."""

import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from agent.clock import Clock
from agent.config import SensorConfig
from agent.devshield.onewire_tree import OneWireTree
from agent.sampler import Sampler
from agent.sensors.drivers import open_all
from agent.spool import Spool
from agent.ticks import Ticks

HUNG, WELL = "28-000000000001", "28-000000000002"


@pytest.mark.parametrize("prepared", [False, True])
def test_sensor_keeps_its_grid_while_another_bus_hangs(tmp_path: Path, prepared: bool) -> None:
    tree = OneWireTree(tmp_path, master="w1_bus_master1")
    tree.add(HUNG)
    pipe = tree.hang(HUNG)  # open(2) of a pipe without a writer blocks, as a read of a hung bus does
    OneWireTree(tmp_path, master="w1_bus_master2").add(WELL, 4.5)
    configs = [
        SensorConfig(name="hung", driver="ds18b20", id=HUNG, interval_seconds=1.0),
        SensorConfig(name="well", driver="ds18b20", id=WELL, interval_seconds=1.0),
    ]
    clock = Clock(tmp_path, trust_any=True, boot_id="test")
    probes = open_all(configs, root=tmp_path, wait=threading.Event().wait)
    sampler = Sampler(probes, clock, monotonic=time.monotonic)
    with closing(Spool(tmp_path / "spool.db")) as spool:
        ticks = Ticks(probes, sampler, spool, clock, monotonic=time.monotonic)
        began = time.monotonic()
        for _ in range(3):
            threading.Event().wait(max(0.0, ticks.next_look - time.monotonic()))
            ticks.tick()
            if prepared:
                ticks.prepare()
        assert [spooled.reading.sensor for spooled in spool.head(10)] == ["well"] * 3
        assert time.monotonic() - began < 3.5
    sampler.close()
    with pipe.open("w"):
        pass  # lets the hung read go
