"""Power cuts during sampling and draining, and whether all is there afterwards that was reported as stored.

Each life starts from one saved state of the machine, whose data disk is not mounted in it: what it finds there is what the cut
before has left. Two kinds take turns: the shield refuses and the backlog grows; the shield takes it, slowly, and it shrinks.
"""

import random
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from vm.guest import Guest
from vm.lines import Lines, until
from vm.receipts import Receipt
from vm.reports import Report, certain, stored
from vm.stage import Stage

PATIENCE: Final = 180.0
REFUSES, SLOW = "503", "slow:0.15"
A_TICKS_ACKS: Final = 15  # so many fit between two commits; their mark on tmpfs goes with the power
PREPARE: Final = """
mkdir -p /run/systemd/system/sensor-agent.service.d
printf '[Service]\\nEnvironmentFile=/run/boot-id\\n' >/run/systemd/system/sensor-agent.service.d/boot.conf
systemctl daemon-reload
systemctl stop sensor-agent board
umount /var/lib/sensor-agent
rm -rf /run/sensor-agent
sync
"""
# a boot of its own, at the time of now; nothing of the disk is known yet
WAKE: Final = """
date --set=@{now:.3f}
echo BOOT_ID={boot} >/run/boot-id
blockdev --flushbufs /dev/vdb
systemctl start --no-block board
systemctl start sensor-agent
"""


@dataclass(frozen=True, slots=True)
class Cut:
    """One cut: what had been reported, by count and by value, and what the shield had by then.

    `began` and `ended` are UNIX seconds, `known` the number of receipts when this life began.
    """

    kind: str
    began: float
    ended: float
    known: int
    stored: int
    certain: dict[tuple[str, str], float]
    at_stake: int
    survived: int


def wake(guest: Guest) -> None:
    """The machine goes on as one that has just booted."""
    guest.sh(WAKE.format(now=time.time(), boot=secrets.token_hex(16)))


def life(stage: Stage, kind: str, chance: random.Random) -> tuple[Cut, Report | None]:
    """One life and its end; also the first that it said."""
    known, began = len(stage.receipts()), time.time()
    stage.faults(REFUSES if kind == "sampling" else SLOW)
    with stage.boot(saved=True) as guest:
        wake(guest)
        until(PATIENCE, lambda: "" if guest.heard() else "nothing")
        first = guest.reports[0] if guest.reports else None
        if kind == "sampling":
            ticks = chance.randint(2, 8)
            until(PATIENCE, lambda: "" if guest.heard() and len(guest.reports) > ticks else "waits")
            until(chance.uniform(0, 2), lambda: "waits")
        else:
            waiting = guest.reports[-1].pending if guest.reports else 1
            some = chance.randint(1, max(waiting, 1))
            until(PATIENCE, lambda: "" if len(stage.receipts()) >= known + some else "waits")
        at_stake, survived = stage.cut(guest, chance)
    cut = Cut(
        kind,
        began,
        time.time(),
        known,
        stored(guest.reports),
        certain(guest.reports),
        at_stake=at_stake,
        survived=survived,
    )
    return cut, first


def missing(cut: Cut, receipts: list[Receipt]) -> tuple[int, list[tuple[str, str]]]:
    """After all was drained: how many of the stored ones are missing by count, and which by value.

    What this life has had in store arrives during it or later; a reading may have arrived before as well, if the cut before
    took its acknowledgement. Values are looked for a second around: status works the time out anew, from two clocks that it
    reads one after the other, and an emulated CPU may take its time between them.
    """
    later = {each.key for each in receipts[cut.known :] if seconds(each.value.time) <= cut.ended}
    values = {
        (each.value.sensor, seconds(each.value.time) + off, each.value.celsius)
        for each in receipts
        for off in (-1, 0, 1)
    }
    wrong = [
        (sensor, time)
        for (sensor, time), celsius in cut.certain.items()
        if (sensor, seconds(time), round(celsius, 3)) not in values
    ]
    return max(cut.stored - len(later), 0), wrong


def seconds(utc: str) -> float:
    """UNIX seconds of a time as it is sent."""
    return datetime.fromisoformat(utc).timestamp()


def drain(stage: Stage, guest: Guest) -> object:
    """Let everything leave; "" when nothing is pending."""
    stage.faults()

    def look() -> object:
        report = guest.heard()
        return "" if report and report.line == "online" and report.pending <= 1 else report

    return until(PATIENCE, look)


def survey(stage: Stage, lines: Lines, count: int, seed: int) -> list[Cut]:
    """So many lives, with a line each."""
    chance, cuts = random.Random(seed), list[Cut]()
    for number in range(1, count + 1):
        began = time.monotonic()
        cut, first = life(stage, "sampling" if number % 2 else "draining", chance)
        cuts.append(cut)
        lines.holds(
            f"cut {number:2}, {cut.kind}: {cut.stored} stored, {first.pending if first else 0} of them found at the start;"
            f" {cut.at_stake - cut.survived} of {cut.at_stake} unsynced sectors gone"
            f" ({time.monotonic() - began:.0f} s)",
            true=first is not None and first.sound and not first.dropped and not first.set_aside,
            saw=first,
        )
    return cuts


def betrayals(stage: Stage, lives: int, seed: int) -> list[str]:
    """The counter-proof: what was seen of losses in so many lives on a disk that lies, whose backlog only grows."""
    chance, seen, before = random.Random(seed), list[str](), 0
    with stage.liar():
        for _ in range(lives):
            try:
                cut, first = life(stage, "sampling", chance)
            except RuntimeError as broken:  # it cannot be mounted any more: the last life
                return [*seen, str(broken)]
            if first is None or not first.sound or first.pending < before:
                seen.append(f"{before} stored, then {first.pending if first else 'no status'}")
            before = cut.stored
    return seen
