"""A device that delivers through a network of faults to a real shield, and the count of what came of it.

python tests/net/trial.py [FAULTS] [SEED]
"""

import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath

from net.fault_proxy import Fault, any_fault, proxied

from agent import pem, reading
from agent.delivery import Backoff
from agent.devshield.authority import open_or_create
from agent.devshield.shield import Setup, Shield
from agent.flush import Flush, Plan
from agent.reading import Reading
from agent.spool import Limits, Spool, Spooled
from agent.uplink import Target, Uplink

START = 1_795_000_000
# answers that are no acknowledgement: outage, overload, portal, redirect, an edge that wants a certificate
ANSWERS = ("503*1", "500*1", "lost*1", "drop*1", "portal*1", "302*1", "400html*1", "520*1")
QUICK = Backoff(cap=0.01, first=0.002, pace=0.0)
TIMEOUT_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Outcome:
    """`read` readings in all; `stored` is the keys in the order the shield stored them."""

    faults: int
    read: int
    stored: list[int]
    posted: int
    ambiguous: int
    found: int
    pending: int
    set_aside: int
    seconds: float

    @property
    def lost(self) -> int:
        """Readings that the shield does not have."""
        return len(set(range(1, self.read + 1)) - set(self.stored))

    @property
    def duplicates(self) -> int:
        """Copies beyond the first."""
        return sum(count - 1 for count in Counter(self.stored).values())

    @property
    def in_order(self) -> bool:
        """Whether every reading came after those before it; a late copy may follow whenever the network likes."""
        first = list(dict.fromkeys(self.stored))
        return first == sorted(first)

    def __str__(self) -> str:
        return (
            f"{self.faults} faults, {self.read} readings, {self.posted} POSTs in {self.seconds:.1f} s: {self.lost} lost,"
            f" {self.duplicates} duplicates, {self.ambiguous} ambiguous outcomes of which {self.found} were found stored,"
            f" {'in order' if self.in_order else 'OUT OF ORDER'}"
        )


def device_pair(directory: Path) -> tuple[str, str]:
    """A certificate of the shield's authority in that directory, and its key."""
    key = pem.new_key("p256")
    files = directory / "device.pem", directory / "device-key.pem"
    files[0].write_bytes(open_or_create(directory).sign(pem.signing_request(key, name="device", subject={})))
    files[1].write_bytes(key)
    return str(files[0]), str(files[1])


def body(spooled: Spooled) -> bytes:
    """As the configuration's defaults have it."""
    return reading.body(spooled.reading, temperature_as="string")


def device(spool: Spool, url: str, ca_file: str, pair: tuple[str, str], *, draw: random.Random) -> Flush:
    """The delivery of a device that waits hardly at all."""
    target = Target(url, ca_file, TIMEOUT_SECONDS)
    plan = Plan(lambda shown: Uplink(target, shown), lambda: pair, body, str, QUICK)
    return Flush(spool, plan, monotonic=time.monotonic, wall=time.time, jitter=draw.random)


def stored_keys(shield: Shield) -> list[int]:
    """The numbers of the readings in the order in which the shield stored them."""
    rows: list[dict[str, Any]] = shield.requests()
    return [int(json.loads(row["idempotency_key"])) for row in rows if row["stored"]]


def run(directory: Path, *, faults: int, seed: int) -> Outcome:
    """Deliver through so many faults of the network and half as many of the shield; then all is well until the end."""
    draw = random.Random(seed)
    read = 0
    begun = time.monotonic()
    wait = threading.Event().wait

    def next_fault() -> Fault | None:
        return any_fault(draw) if proxy.happened < faults else None

    with (
        Shield(Setup(directory / "shield")) as shield,
        proxied(shield.port, next_fault) as proxy,
        Spool(directory / "spool.db", limits=Limits(max_readings=100_000)) as spool,
    ):
        url = shield.url.replace(str(shield.port), str(proxy.port))
        flush = device(spool, url, str(shield.ca_file), device_pair(directory / "shield"), draw=draw)
        while proxy.happened < faults or spool.counts().pending:
            if proxy.happened < faults and spool.counts().pending < 3:
                spool.append([Reading(name, 1000 * draw.randrange(3), START + read) for name in ("attic", "cellar")])
                read += 2
                if draw.random() < 0.2:
                    shield.faults.put("shield", [draw.choice(ANSWERS)])
            again = flush.step()
            wait(min(max(again - time.monotonic(), 0.0), 0.05))
        flush.close()
        counts, delivered = spool.counts(), flush.delivered
        return Outcome(
            proxy.happened,
            read,
            stored_keys(shield),
            delivered.posted,
            delivered.ambiguous,
            delivered.found,
            counts.pending,
            counts.set_aside,
            time.monotonic() - begun,
        )


def main() -> int:
    """Prints the outcome; 1 if a promise is broken."""
    faults = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    with tempfile.TemporaryDirectory() as directory:
        outcome = run(Path(directory), faults=faults, seed=seed)
    print(f"seed {seed}: {outcome}")
    return 0 if not outcome.lost and outcome.duplicates <= outcome.ambiguous and outcome.in_order else 1


if __name__ == "__main__":
    sys.exit(main())
