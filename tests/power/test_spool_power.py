"""Power cuts at every moment of the spool's life: nothing stored is lost, nothing is corrupt.

Two hundred cuts by default, POWER_CUTS=10000 for the whole figure.
"""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from power.cuts import Disk
from power.recorded import Event, Mark, record
from world.readings import readings

from agent.spool import Limits, Spool

CUTS = int(os.environ.get("POWER_CUTS", "200"))
LIMITS = Limits(max_readings=2000)

WORK = """
import os, sys
from pathlib import Path
from agent.spool import Limits, Spool
from world.readings import readings
path = Path(sys.argv[1]) / "spool.db"

def say(word, *seqs):
    os.write(1, " ".join([word, *map(str, seqs)]).encode() + b"\\n")

number = 0
for life in range(3):
    spool = Spool(path, limits=Limits(max_readings=2000))
    for tick in range(40):
        say("taking", *range(number + 1, number + 9))
        spool.append(readings(*range(number, number + 8)))
        say("stored", *range(number + 1, number + 9))
        number += 8
        for spooled in spool.head(9):
            say("acknowledged", spooled.seq)
            spool.ack(spooled.seq)
        if tick % 13 == 12:
            [spooled] = spool.head(1) or [None]
            if spooled is not None:
                say("refused", spooled.seq)
                spool.set_aside(spooled.seq, status=400, reason="no")
                say("aside", spooled.seq)
    for tick in range(12):
        say("taking", *range(number + 1, number + 9))
        spool.append(readings(*range(number, number + 8)))
        say("stored", *range(number + 1, number + 9))
        number += 8
    spool.close()
    say("closed")
"""


@pytest.fixture(scope="module")
def events() -> Iterator[list[Event]]:
    """Three lives of a spool, recorded once."""
    if shutil.which("strace") is None:
        pytest.skip("a power cut is cut out of a recording by strace, which is not installed")
    with TemporaryDirectory(prefix="test-power-") as scratch:
        directory = Path(scratch) / "spool"
        directory.mkdir()
        yield record(WORK, directory, Path(scratch) / "log")


class Told:
    """What the process had said until the cut."""

    def __init__(self) -> None:
        self.by_word: dict[str, set[int]] = {
            word: set() for word in ("taking", "stored", "acknowledged", "refused", "aside", "closed")
        }

    def hear(self, mark: Mark) -> None:
        word, *seqs = mark.text.split()
        self.by_word[word].update(map(int, seqs))


def check(directory: Path, told: Told) -> None:
    """The rules after a cut; asserts with what is missing or too much."""
    stored, gone = told.by_word["stored"], told.by_word["acknowledged"] | told.by_word["refused"]
    with Spool(directory / "spool.db", limits=LIMITS) as spool:
        pending = {spooled.seq: spooled.reading for spooled in spool.head(10_000)}
        assert not (stored - gone) - set(pending), "lost"
        assert set(pending) <= told.by_word["taking"], "never taken"
        assert not set(pending) & told.by_word["aside"], "set aside and still pending"
        refused = told.by_word["refused"] - set(pending)
        assert spool.counts().set_aside == len(refused), "set aside and lost"
        assert all([reading] == readings(seq - 1) for seq, reading in pending.items()), "changed"
        assert (spool.counts().pending, spool.counts().trouble) == (len(pending), "")
        spool.append(readings(9999))
        assert spool.head(10_000)[-1].seq not in stored, "a number given twice"
    assert not list(directory.glob("*.damaged")), "corrupt"


@pytest.mark.parametrize("collateral", [False, True], ids=["torn sectors", "collateral 4 KiB"])
def test_a_power_cut_loses_and_corrupts_nothing(events: list[Event], collateral: bool) -> None:
    chance = random.Random(20261125 + collateral)
    moments = sorted(chance.choices(range(1, len(events) + 1), k=CUTS))
    disk, told = Disk(), Told()
    played = 0
    with TemporaryDirectory(prefix="test-power-", dir=_memory()) as scratch:
        for place, moment in enumerate(moments):
            for event in events[played:moment]:
                disk.play(event)
                if isinstance(event, Mark):
                    told.hear(event)
            played = moment
            directory = Path(scratch) / str(place)
            directory.mkdir()
            disk.cut(chance, directory, collateral=collateral)
            check(directory, told)
            shutil.rmtree(directory)


def _memory() -> str | None:
    """Where the states are made: in memory if there is a place, for there are thousands."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
