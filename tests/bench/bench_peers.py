"""Our agent beside what people would use instead: eight sensors, one machine, one mutual-TLS sink. Prints, asserts nothing.

python tests/bench/bench_peers.py; as root in a network namespace of its own, so that the loopback carries nothing else.
First each delivers a tick a second, one after the other; then all idle together at a minute's interval. What is not
installed is named with the command that installs it, and not measured.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath

from bench import process
from bench.compiled import compiled
from bench.loopback import wire
from bench.peers import Place, collectd, mqtt_io, sensor_agent, session, syslog_ng, thingsboard, tutorial
from bench.table import figure, machine, table
from net.namespace import bring_up, enter_own_network

from agent import pem
from agent.devshield.authority import open_or_create
from agent.devshield.onewire_tree import OneWireTree

PEERS: tuple[ModuleType, ...] = (sensor_agent, tutorial, session, collectd, syslog_ng, thingsboard, mqtt_io)
SENSORS = tuple(f"28-{number:012x}" for number in range(8))
SETTLE_SECONDS, WINDOW_SECONDS = 3.0, float(os.environ.get("WINDOW", "20"))
IDLE_INTERVAL, IDLE_SECONDS = 60.0, float(os.environ.get("IDLE", "120"))
START_SECONDS = 30.0
PAUSE = threading.Event().wait


@dataclass(frozen=True, slots=True)
class Delivered:
    """One reading's share; None where nothing arrived. `start` is the CPU until the first one arrived."""

    start: float | None = None
    cpu: float | None = None
    octets: float | None = None
    packets: float | None = None


@dataclass(frozen=True, slots=True)
class Idle:
    """`cpu` is of a core; `wakeups` are of a minute."""

    cpu: float
    wakeups: float
    memory: process.Memory


@contextmanager
def sink(directory: Path) -> Iterator[tuple[Place, Callable[[], int]]]:
    """A board and where it sends, and how many readings have arrived."""
    counts, root = directory / "counts", directory / "board"
    tree = OneWireTree(root)
    for number, sensor in enumerate(SENSORS):
        tree.add(sensor, 20.0 + number)
        (root / "sys/bus/w1/devices" / sensor / "temperature").write_text(f"{20_000 + 1000 * number}\n")
    trusted = root / "run/systemd/timesync/synchronized"
    trusted.parent.mkdir(parents=True)
    trusted.touch()
    command = [sys.executable, str(Path(__file__).with_name("sink.py")), str(directory), str(counts)]
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as server:
        assert server.stdout is not None
        port, authority = server.stdout.readline().split()
        key = pem.new_key("p256")
        request = pem.signing_request(key, name="sensor-001.devices.example.com", subject={})
        (directory / "device.pem").write_bytes(open_or_create(directory).sign(request))
        (directory / "device-key.pem").write_bytes(key)
        (directory / "device-key.pem").chmod(0o600)
        place = Place(
            directory=directory,
            root=root,
            sensors=SENSORS,
            url=f"https://127.0.0.1:{port}/temps",
            ca_file=authority,
            certificate=str(directory / "device.pem"),
            key=str(directory / "device-key.pem"),
            interval=1.0,
            feed=directory / "feed.jsonl",
            broker=1883,
        )
        try:
            yield place, lambda: int((counts.read_text() or "0 0").split()[0])
        finally:
            server.terminate()


@contextmanager
def broker(place: Place) -> Iterator[Place]:
    """The place with an MQTT broker, where mosquitto is installed."""
    program = Path("/usr/sbin/mosquitto")
    if not program.exists():
        yield place
        return
    config = place.directory / "mosquitto.conf"
    config.write_text(f"listener {place.broker} 127.0.0.1\nallow_anonymous true\nuser root\n")
    with subprocess.Popen([program, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            yield place
        finally:
            server.terminate()


@contextmanager
def running(peer: ModuleType, place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """The peer at that place, in a directory of its own; what it says goes to a file there."""
    own = place.directory / f"{peer.__name__}-{place.interval:g}"
    own.mkdir()
    place = replace(place, directory=own, feed=own / "feed.jsonl")
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_BUNDLE")}
    environ["PYTHONPATH"] = os.pathsep.join((compiled(), str(Path(__file__).parents[1])))
    environ["PYTHONSAFEPATH"] = "1"
    with (own / "log").open("wb") as log, ExitStack() as stack:
        started = subprocess.Popen(peer.command(place), stdout=log, stderr=log, env=environ)
        if peer is syslog_ng:
            stack.callback(feed(place).set)
        try:
            yield started
        finally:
            started.terminate()
            with suppress(subprocess.TimeoutExpired):
                started.wait(5)
            if started.poll() is None:
                started.kill()
                started.wait()


def feed(place: Place) -> threading.Event:
    """Append a tick's lines at each interval until the event is set."""
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            with place.feed.open("a") as file:
                file.writelines(f'{{"temperature": "21.437", "time": "{now}"}}\n' for _ in place.sensors)
            ended.wait(place.interval)

    threading.Thread(target=write, daemon=True).start()
    return ended


def delivered(peer: ModuleType, place: Place, arrived: Callable[[], int]) -> Delivered:
    """What a reading costs while a tick a second is delivered."""
    before = arrived()
    with running(peer, place) as started:
        deadline = time.monotonic() + START_SECONDS
        while arrived() == before:
            if started.poll() is not None or time.monotonic() > deadline:
                return Delivered()
            PAUSE(0.005)
        start = process.cpu(started.pid)
        PAUSE(SETTLE_SECONDS)
        had, used, (octets, packets) = arrived(), process.cpu(started.pid), wire()
        PAUSE(WINDOW_SECONDS)
        count = arrived() - had
        if not count:
            return Delivered(start)
        used, after = process.cpu(started.pid) - used, wire()
    return Delivered(start, used / count, (after[0] - octets) / count, (after[1] - packets) / count)


def idle(place: Place, peers: tuple[ModuleType, ...]) -> dict[str, Idle]:
    """All of them at the same time: each sleeps for most of it. What has ended meanwhile is left out."""
    with ExitStack() as stack:
        started = {peer.NAME: stack.enter_context(running(peer, place)).pid for peer in peers}
        PAUSE(20.0)  # the first tick, and the slowest start
        begun = {name: look(pid) for name, pid in started.items()}
        PAUSE(IDLE_SECONDS)
        ended = {name: look(pid) for name, pid in started.items()}
        minutes = IDLE_SECONDS / 60
        return {
            name: Idle(
                (ended[name][0] - begun[name][0]) / IDLE_SECONDS,
                (ended[name][1] - begun[name][1]) / minutes,
                process.memory(pid),
            )
            for name, pid in started.items()
            if Path(f"/proc/{pid}/smaps_rollup").exists() and ended[name][0]
        }


def look(pid: int) -> tuple[float, int]:
    """CPU and wake-ups so far."""
    return process.cpu(pid), sum(process.wakeups(pid).values())


def main() -> None:
    machine()
    own_network = enter_own_network()
    if own_network:
        bring_up("lo")
    here = tuple(peer for peer in PEERS if peer.found())
    with tempfile.TemporaryDirectory() as directory, sink(Path(directory)) as (place, arrived), broker(place):
        costs = {peer.NAME: delivered(peer, place, arrived) for peer in here}
        quiet = idle(replace(place, interval=IDLE_INTERVAL), here)
    ours = costs[sensor_agent.NAME].cpu
    table(
        f"A delivered reading: {len(SENSORS)} sensors, a tick a second, mutual TLS",
        ("", "ms CPU", "ratio", "bytes", "packets", "ms CPU to the first", "can", "kept at a power cut"),
        [
            (
                name,
                figure(cost.cpu and cost.cpu * 1000, 2),
                figure(cost.cpu / ours, 1) if cost.cpu and ours else None,
                figure(cost.octets if own_network else None),
                figure(cost.packets if own_network else None, 1),
                figure(cost.start and cost.start * 1000),
                peer.JOB,
                peer.DURABLE,
            )
            for peer in here
            for name, cost in ((peer.NAME, costs[peer.NAME]),)
        ],
    )
    table(
        f"Idle: {len(SENSORS)} sensors, a tick a minute, {IDLE_SECONDS:g} s",
        ("", "% of a core", "wake-ups a minute", "RSS MiB", "PSS MiB", "private MiB"),
        [
            (
                name,
                figure(each.cpu * 100, 3),
                figure(each.wakeups, 1),
                *(figure(size, 1) for size in (each.memory.rss, each.memory.pss, each.memory.private)),
            )
            for name, each in quiet.items()
        ],
    )
    for peer in PEERS:
        if peer not in here:
            print(f"not measured: {peer.NAME}; to install it: {peer.NEEDS}")


if __name__ == "__main__":
    main()
