"""What delivery costs: readings per CPU-second, bytes on the wire, a new connection; singly and in batches.

Prints, asserts nothing but that all arrived.

python tests/bench/bench_line.py [READINGS]

As root in a network namespace of its own, so that the loopback's counters hold this traffic only, headers included.
The server is another process: its CPU does not count. All ways are measured in one run, three rounds in turn.
"""

import json
import math
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath

from bench.loopback import wire
from bench.table import figure, machine, table
from net.namespace import bring_up, enter_own_network

from agent import pem, reading
from agent.delivery import Backoff, item
from agent.devshield.authority import open_or_create
from agent.flush import Flush, Plan
from agent.reading import Reading
from agent.spool import Limits, Spool, Spooled
from agent.uplink import Target, Uplink

ROUNDS = 3
DAYS = (1, 2, 6)
BARE = (
    b"POST /temps HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept-Encoding: identity\r\nUser-Agent: sensor-agent\r\n"
    b'Content-Type: application/json\r\nAccept: */*\r\nContent-Length: %d\r\nIdempotency-Key: "k-%d"\r\n\r\n'
)
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one reading: CPU seconds of this process, bytes and packets on the wire in both directions."""

    cpu: float
    octets: float
    packets: float


@dataclass(frozen=True, slots=True)
class Drain:
    """Of a backlog: how many requests it took, and the seconds with and without the waits for the pace."""

    requests: int
    seconds: float
    busy: float


@contextmanager
def shield(directory: Path, api: str) -> Iterator[dict[str, Any]]:
    """A development shield in a process of its own."""
    command = [sys.executable, "-m", "agent", "shield", "serve", "--json", "--api", api, "--dir", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def pair(directory: Path) -> tuple[str, str]:
    """A certificate of that shield's authority and its key (P-256)."""
    key = pem.new_key("p256")
    files = directory / "device.pem", directory / "device-key.pem"
    request = pem.signing_request(key, name="sensor-001.devices.example.com", subject={})
    files[0].write_bytes(open_or_create(directory).sign(request))
    files[1].write_bytes(key)
    return str(files[0]), str(files[1])


def measured(count: int, work: Callable[[], object]) -> Cost:
    """What the work costs for each of `count` readings."""
    octets, packets = wire()
    begun = time.process_time()
    work()
    used = time.process_time() - begun
    after = wire()
    return Cost(used / count, (after[0] - octets) / count, (after[1] - packets) / count)


def repeat(times: int, work: Callable[[int], object]) -> None:
    """Do it so often."""
    for number in range(times):
        work(number)


def every_root(file: Path, authority: Path) -> Path:
    """What a device that pins nothing has: every root, and this one."""
    file.write_bytes((BUNDLE.read_bytes() if BUNDLE.exists() else b"") + authority.read_bytes())
    return file


def body_of(number: int) -> bytes:
    """The bytes of a reading."""
    return reading.body(Reading("freezer", number % 90_000, 1_795_000_000 + number), temperature_as="string")


def backlog(directory: Path, readings: int) -> Spool:
    """A spool of its own with so many readings of one sensor, one a minute."""
    spool = Spool(directory / f"{time.monotonic_ns()}.db", limits=Limits(max_readings=20_000))
    spool.append([Reading("freezer", n % 90_000, 1_795_000_000 + 60 * n) for n in range(readings)])
    return spool


class Device:
    """One that delivers to a shield; all that a bench wants of it."""

    def __init__(self, directory: Path, target: Target, shown: tuple[str, str]) -> None:
        self.directory, self.target, self.shown = directory, target, shown

    def flush(self, spool: Spool, pace: float, monotonic: Callable[[], float]) -> Flush:
        """The daemon's way, connected and with its first reading sent, as in a daemon that has run for a while."""
        plan = Plan(
            lambda files: Uplink(self.target, files),
            lambda: self.shown,
            body,
            f"device-{time.monotonic_ns()}-{{}}".format,
            Backoff(pace=pace),
        )
        flush = Flush(spool, plan, monotonic=monotonic, wall=time.time, jitter=lambda: 0.0)
        flush.step()
        return flush

    def drained(self, count: int) -> Cost:
        """A backlog, as fast as it goes."""
        with backlog(self.directory, count + 1) as spool:
            flush = self.flush(spool, 0.0, time.monotonic)

            def all_of_it() -> None:
                while flush.step() != math.inf:
                    pass

            cost = measured(count, all_of_it)
            assert spool.counts().pending == 0, flush.delivered
            flush.close()
        return cost

    def in_ticks(self, count: int, size: int, *, gzip: bool) -> Cost:
        """So many readings at once, by the uplink alone."""
        line = Uplink(self.target, self.shown)
        run = time.monotonic_ns()

        def one(number: int) -> None:
            numbers = range(number * size, (number + 1) * size)
            answer = line.post_batch([item(body_of(n), f"{run}-{n}") for n in numbers], gzip=gzip)
            assert len(answer.results) == size, answer

        one(1_000_000)
        cost = measured(count, lambda: repeat(count // size, one))
        line.close()
        return cost

    def paced(self, count: int) -> Drain:
        """A backlog at the usual pace, whose waits are counted and not waited for."""
        skipped = 0.0

        def monotonic() -> float:
            return time.monotonic() + skipped

        with backlog(self.directory, count) as spool:
            begun, at = time.monotonic(), monotonic()
            flush = self.flush(spool, 1.05, monotonic)
            requests = 1
            while spool.counts().pending:
                skipped += max(0.0, flush.line.not_before - monotonic())
                flush.step()
                requests += 1
            flush.close()
            return Drain(requests, monotonic() - at, time.monotonic() - begun)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        os.environ.pop(name, None)  # they would override what is given to a Session
    own_network = enter_own_network()
    if own_network:
        bring_up("lo")
    machine()
    with (
        tempfile.TemporaryDirectory() as directory,
        shield(Path(directory) / "tutorial", "tutorial") as where,
        shield(Path(directory) / "extended", "extended") as offers,
    ):
        shown = pair(Path(directory) / "tutorial")
        bundle = every_root(Path(directory) / "bundle.pem", Path(where["ca_file"]))
        target = Target(where["shield"], str(bundle), 20.0)
        singly = Device(Path(directory), target, shown)
        bundle2 = every_root(Path(directory) / "bundle2.pem", Path(offers["ca_file"]))
        in_batches = Device(
            Path(directory), Target(offers["shield"], str(bundle2), 20.0), pair(Path(directory) / "extended")
        )

        def posted() -> Cost:
            line = Uplink(target, shown)
            line.post(body_of(0), key="k")
            cost = measured(count, lambda: repeat(count, lambda n: line.post(body_of(n), key="k")))
            line.close()
            return cost

        def reconnected() -> Cost:
            line = Uplink(target, shown)
            line.post(body_of(0), key="k")

            def one(number: int) -> None:
                line.close()
                line.post(body_of(number), key="k")

            cost = measured(100, lambda: repeat(100, one))
            line.close()
            return cost

        def nothing_but_tls() -> Cost:
            host, port = urlsplit(where["shield"]).hostname or "", urlsplit(where["shield"]).port
            context = ssl.create_default_context(cafile=where["ca_file"])
            context.load_cert_chain(*shown)
            with context.wrap_socket(socket.create_connection((host, port)), server_hostname=host) as sock:

                def one(number: int) -> None:
                    sent = body_of(number)
                    sock.sendall(BARE % (port, len(sent), number) + sent)
                    assert sock.recv(16_384).startswith(b"HTTP/1.1 201 ")

                one(0)
                return measured(count, lambda: repeat(count, one))

        def session() -> Cost:
            with requests.Session() as kept:
                kept.cert, kept.verify = shown, str(bundle)

                def one(number: int) -> None:
                    kept.post(where["shield"], data=body_of(number), headers={"Content-Type": "application/json"})

                one(0)
                return measured(count, lambda: repeat(count, one))

        def each_anew() -> Cost:
            def one(number: int) -> None:
                requests.post(
                    where["shield"],
                    data=body_of(number),
                    headers={"Content-Type": "application/json"},
                    cert=shown,
                    verify=str(bundle),
                    timeout=20,
                )

            return measured(30, lambda: repeat(30, one))

        ways = {
            "the daemon's way, spool included": lambda: singly.drained(count),
            "the same in batches of 500, gzip": lambda: in_batches.drained(count),
            "its uplink alone": posted,
            "nothing but TLS: the same bytes, no answer read": nothing_but_tls,
            "a tick of 8 in one batch, gzip": lambda: in_batches.in_ticks(count // 8 * 8, 8, gzip=True),
            "a tick of 8 in one batch, as it is": lambda: in_batches.in_ticks(count // 8 * 8, 8, gzip=False),
            "500 in one batch, gzip": lambda: in_batches.in_ticks(count // 500 * 500, 500, gzip=True),
            "500 in one batch, as it is": lambda: in_batches.in_ticks(count // 500 * 500, 500, gzip=False),
            "requests.Session.post": session,
            "requests.post": each_anew,
            "its uplink, a new connection for each": reconnected,
        }
        rounds = [{name: way() for name, way in ways.items()} for _ in range(ROUNDS)]
        days = [(days, singly.paced(1440 * days), in_batches.paced(1440 * days)) for days in DAYS]
    report(rounds, count, own_network=own_network)
    report_drains(days)


def report(rounds: list[dict[str, Cost]], count: int, *, own_network: bool) -> None:
    """The medians as a table."""
    medians = {
        name: Cost(
            *(statistics.median(getattr(each[name], of) for each in rounds) for of in ("cpu", "octets", "packets"))
        )
        for name in rounds[0]
    }
    first = next(iter(medians.values())).cpu
    table(
        f"A delivered reading: {count:,} a round, medians of {ROUNDS} rounds",
        ("", "readings per CPU-second", "ms CPU", "ratio", "bytes", "packets"),
        [
            (
                name,
                figure(1 / each.cpu),
                figure(each.cpu * 1000, 2),
                figure(each.cpu / first, 2),
                figure(each.octets if own_network else None),
                figure(each.packets if own_network else None, 1),
            )
            for name, each in medians.items()
        ],
    )
    if not own_network:
        print("bytes and packets: only as root, in a network namespace of its own")


def report_drains(days: list[tuple[int, Drain, Drain]]) -> None:
    """How long a backlog takes at the usual pace."""
    table(
        "A backlog at a pace of 1.05 s, its waits counted and not waited for",
        ("", "requests", "minutes", "seconds without the waits"),
        [
            (
                f"{number * 1440:,} readings {name}",
                figure(each.requests),
                figure(each.seconds / 60, 2),
                figure(each.busy, 2),
            )
            for number, single, batched in days
            for name, each in (("singly", single), ("in batches", batched))
        ],
    )


def body(spooled: Spooled) -> bytes:
    """As the configuration's defaults have it."""
    return reading.body(spooled.reading, temperature_as="string")


if __name__ == "__main__":
    main()
