"""Anything at all is done to a spool, in any order and with crashes, and a dictionary says what must be in it."""

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from world.readings import START

from agent.reading import Reading
from agent.spool import Limits, Spool

SENSORS = ("freezer", "attic")
BOOT = "this boot"


class Model:
    """What the spool must hold: number to reading; `held` ones have seconds since boot; `doubtful` ones may come back."""

    def __init__(self) -> None:
        self.pending: dict[int, Reading] = {}
        self.held: set[int] = set()
        self.doubtful: dict[int, Reading] = {}
        self.set_aside = 0

    def sendable(self) -> list[tuple[int, Reading]]:
        first_held = min(self.held, default=1 << 62)
        return [(seq, self.pending[seq]) for seq in sorted(self.pending) if seq < first_held]

    def leave(self, seq: int) -> None:
        self.doubtful[seq] = self.pending.pop(seq)

    def release(self) -> None:
        for seq in self.held:
            old = self.pending[seq]
            self.pending[seq] = Reading(old.sensor, old.milli_celsius, old.unix_seconds + START)
        self.held.clear()


class AnyLife(RuleBasedStateMachine):
    """A spool that commits each tick."""

    limits = Limits(max_readings=1000)

    @initialize()
    def begin(self) -> None:
        self.scratch = TemporaryDirectory(prefix="model-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.directory = Path(self.scratch.name) / "0"
        self.model, self.now, self.seen, self.crashes = Model(), 100, 0, 0
        self.spool = self.open()

    def open(self) -> Spool:
        self.directory.mkdir(exist_ok=True)
        watermark = self.directory / "watermark"
        return Spool(self.directory / "spool.db", limits=self.limits, watermark=watermark)

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
            self.scratch.cleanup()

    @rule(values=st.lists(st.integers(-50_000, 125_000), max_size=6), clock=st.booleans(), passed=st.integers(1, 90))
    def append(self, values: list[int], clock: bool, passed: int) -> None:
        """A tick, of a trusted clock or not; once there is one, it stays."""
        self.now += passed
        clock = clock and not self.model.held
        seconds = self.now + (START if clock else 0)
        taken = []
        for place, milli in enumerate(values):
            taken.append(Reading(SENSORS[place % 2], milli, seconds + place))
            self.now += 1
        before = self.spool.counts().pending
        self.spool.append(taken, boot_id="" if clock else BOOT, now=float(self.now))
        assert self.spool.counts().pending == before + len(taken)
        for reading in taken:  # numbers rise, and none was ever given before
            self.seen += 1
            self.model.pending[self.seen] = reading
            if not clock:
                self.model.held.add(self.seen)
        self.model.doubtful.clear()

    @precondition(lambda self: self.model.sendable())
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """The oldest mostly, another one now and then."""
        sendable = [seq for seq, _ in self.model.sendable()]
        seq = data.draw(st.sampled_from([*sendable[:1] * 3, *sendable]))
        self.spool.ack(seq)
        self.model.leave(seq)

    @precondition(lambda self: self.model.sendable())
    @rule(data=st.data())
    def set_aside(self, data: st.DataObject) -> None:
        seq = data.draw(st.sampled_from([seq for seq, _ in self.model.sendable()]))
        self.spool.set_aside(seq, status=400, reason="no")
        del self.model.pending[seq]
        self.model.set_aside += 1

    @precondition(lambda self: self.model.held)
    @rule()
    def trust_the_clock(self) -> None:
        assert self.spool.release(BOOT, offset_seconds=START) == len(self.model.held)
        self.model.release()

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.model.doubtful.clear()
        self.spool = self.open()

    @rule(power_cut=st.booleans())
    def crash(self, power_cut: bool) -> None:
        """The process is gone, with a power cut its watermark too; the files stay as they are."""
        old, self.crashes = self.directory, self.crashes + 1
        self.directory = Path(self.scratch.name) / str(self.crashes)
        shutil.copytree(old, self.directory)
        if power_cut:
            (self.directory / "watermark").unlink()
        self.spool.close()
        shutil.rmtree(old)
        self.spool = self.open()
        self.adopt()

    def adopt(self) -> None:
        """What left since the last commit may be back; nothing else may have changed."""
        back = {spooled.seq: spooled.reading for spooled in self.spool.head(10_000)}
        for seq in [seq for seq, reading in self.model.doubtful.items() if back.get(seq) == reading]:
            self.model.pending[seq] = self.model.doubtful.pop(seq)

    @invariant()
    def holds_what_the_model_says(self) -> None:
        counts = self.spool.counts()
        assert [(spooled.seq, spooled.reading) for spooled in self.spool.head(10_000)] == self.model.sendable()
        assert (counts.pending, counts.held) == (len(self.model.pending), len(self.model.held))
        assert (counts.set_aside, counts.dropped, counts.trouble) == (self.model.set_aside, 0, "")


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    max_examples=int(os.environ.get("MODEL_EXAMPLES", "40")),
    stateful_step_count=30,
)
