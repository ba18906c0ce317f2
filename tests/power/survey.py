"""How many power cuts a spool survives: `python -m power.survey CUTS` prints the table, and fails if one line is wrong.

Each line is of one recording and one kind of disk; half of the cuts are made with names in any order.
"""

import itertools
import logging
import os
import random
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from power.cuts import Disk
from power.lives import BEGINNINGS, FIRST, SETTINGS, WORK, Beginning
from power.recorded import Event, Mark, record
from world.readings import readings

from agent.spool import Limits, Spool

SEED = 20261125
WORDS = ("taking", "stored", "leaving", "refused", "aside", "closed")
LONG_LIVES = {"from nothing": 3, "migration": 1, "quarantine": 1}


@dataclass(frozen=True, slots=True)
class Recording:
    """A spool's life, event by event."""

    events: list[Event]
    begun: Beginning


@dataclass(slots=True)
class Tally:
    """What became of so many cuts: `complaints` are of the first few that lost or changed something."""

    cuts: int = 0
    lost: int = 0
    corrupt: int = 0
    complaints: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.cuts += other.cuts
        self.lost += other.lost
        self.corrupt += other.corrupt
        self.complaints = (self.complaints + other.complaints)[:5]


class Told:
    """What the process had said until the cut."""

    def __init__(self, begun: Beginning) -> None:
        self.by_word: dict[str, set[int]] = {word: set() for word in WORDS}
        self.by_word["stored"] |= begun.pending
        self.by_word["taking"] |= begun.pending

    def hear(self, mark: Mark) -> None:
        word, *seqs = mark.text.split()
        self.by_word[word].update(map(int, seqs))


def recording(life: str, settings: str, scratch: Path) -> Recording:
    """Run the life under strace; `scratch` is an empty directory."""
    directory = scratch / "spool"
    directory.mkdir()
    begun = BEGINNINGS[life](directory)
    script = SETTINGS[settings] + WORK
    events = record(script, directory, scratch / "log", str(FIRST[life]), str(LONG_LIVES[life]))
    return Recording(events, begun)


def complaint(directory: Path, told: Told, begun: Beginning) -> tuple[str, str]:
    """What the spool in the directory breaks of the rules: "lost" or "corrupt", and in which words; two empty strings
    if it keeps them."""
    stored = told.by_word["stored"]
    gone = told.by_word["leaving"] | told.by_word["refused"]
    with Spool(directory / "spool.db", limits=Limits(max_readings=2000)) as spool:
        pending = {spooled.seq: spooled.reading for spooled in spool.head(10_000)}
        counts = spool.counts()
        spool.append(readings(9999))
        new = spool.head(10_000)[-1].seq
    if counts.trouble:
        return "corrupt", counts.trouble
    if missing := stored - gone - set(pending):
        return "lost", f"lost {sorted(missing)[:9]}"
    if not told.by_word["aside"] <= told.by_word["refused"] - set(pending):
        return "lost", "set aside and still pending"
    aside = counts.set_aside - begun.set_aside - len(told.by_word["aside"])
    if not 0 <= aside <= len(told.by_word["refused"] - told.by_word["aside"]):
        return "lost", f"{counts.set_aside} are set aside, {sorted(told.by_word['aside'])} were"
    if extra := set(pending) - told.by_word["taking"]:
        return "corrupt", f"never taken: {sorted(extra)[:9]}"
    if changed := [seq for seq, reading in pending.items() if [reading] != readings(seq - 1)]:
        return "corrupt", f"changed: {changed[:9]}"
    if counts.pending != len(pending):
        return "corrupt", str(counts)
    if new in stored or list(pending) != sorted(pending):
        return "corrupt", f"numbers: {new}, {list(pending)[:9]}"
    if not begun.damaged and list(directory.glob("*.damaged-*")):
        return "corrupt", "the file was damaged"
    return "", ""


def _moments(events: list[Event], chance: random.Random, cuts: int) -> list[int]:
    """Places for cuts, as many between any two things said as between any other two."""
    marks = [0, *(place for place, event in enumerate(events) if isinstance(event, Mark)), len(events)]
    intervals = [(low, high) for low, high in itertools.pairwise(marks) if high > low + 1]
    chosen = chance.choices(intervals, k=cuts)
    return sorted(chance.randint(low + 1, high) for low, high in chosen)


def survive(recorded: Recording, seed: int, cuts: int, *, collateral: bool) -> Tally:
    """Cut the power that often."""
    chance = random.Random(seed)
    disk, told, tally = Disk(), Told(recorded.begun), Tally()
    played = 0
    with TemporaryDirectory(prefix="test-power-", dir=memory()) as scratch:
        for moment in _moments(recorded.events, chance, cuts):
            for event in recorded.events[played:moment]:
                disk.play(event)
                if isinstance(event, Mark):
                    told.hear(event)
            played = moment
            directory = Path(scratch) / "spool"
            directory.mkdir()
            any_order = chance.random() < 0.5
            disk.cut(chance, directory, collateral=collateral, any_order=any_order)
            try:
                kind, words = complaint(directory, told, recorded.begun)
            except Exception as error:  # noqa: BLE001 - a spool that cannot be opened is the worst of it
                kind, words = "corrupt", repr(error)
            tally.cuts += 1
            tally.lost += kind == "lost"
            tally.corrupt += kind == "corrupt"
            if kind:
                tally.complaints.append(f"seed {seed}, event {moment}: {words}")
            shutil.rmtree(directory)
    return tally


def survive_everywhere(recorded: Recording, cuts: int, *, collateral: bool) -> Tally:
    """The same on every processor."""
    workers = min(os.cpu_count() or 1, 4)
    whole = Tally()
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        parts = [
            pool.submit(survive, recorded, SEED + worker, -(-cuts // workers), collateral=collateral)
            for worker in range(workers)
        ]
        for part in parts:
            whole.add(part.result())
    return whole


def memory() -> str | None:
    """Where the states are made: in memory if there is a place, for there are thousands."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def main(cuts: int) -> int:
    """Ours over all lives, the others over one; exit code 1 if ours loses, or if one that must lose does not."""
    lines = [(life, "ours", collateral, cuts // 6) for life in BEGINNINGS for collateral in (False, True)]
    others = [("synchronous=NORMAL", False), ("SQLite's default journal", False), ("psow=1", True)]
    lines += [("from nothing", settings, collateral, max(cuts // 20, 100)) for settings, collateral in others]
    print(f"{'settings':<26} {'life':<13} {'disk':<18} {'cuts':>6} {'lost':>6} {'corrupt':>8}")
    failed = 0
    for life, settings, collateral, number in lines:
        with TemporaryDirectory(prefix="test-power-") as scratch:
            tally = survive_everywhere(recording(life, settings, Path(scratch)), number, collateral=collateral)
        disk = "torn, 4 KiB lost" if collateral else "torn sectors"
        print(f"{settings:<26} {life:<13} {disk:<18} {tally.cuts:>6} {tally.lost:>6} {tally.corrupt:>8}", flush=True)
        if (tally.lost + tally.corrupt == 0) != (settings == "ours"):
            failed = 1
            print(*tally.complaints, sep="\n")
    return failed


if __name__ == "__main__":
    logging.disable()  # the quarantined spools tell of it each time
    sys.exit(main(int(sys.argv[1])))
