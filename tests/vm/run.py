"""A real kernel with real buses: `python -m vm.run PACKAGE [CUTS [SUITE]]`, as root; see README.md beside this file.

Prints a line for each thing that must be true, and fails if one is not.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from vm import cuts
from vm.buses import Buses
from vm.image import image
from vm.lines import Lines
from vm.stage import Stage

SEED: Final = 20261125
LIVES_ON_A_LIAR: Final = 4  # fewer when its file system breaks before


def main(package: Path, count: int, suite: str) -> int:
    """0 if every line was true."""
    if os.geteuid() != 0:
        sys.exit("make vm makes a root file system, and must run as root")
    made = image(suite, package)
    lines, began = Lines(), time.monotonic()
    print(f"{suite}, Linux {made.release}, {package.name}")
    with tempfile.TemporaryDirectory(prefix="sensor-agent-vm-") as scratch, Stage(made, Path(scratch)) as stage:
        with stage.boot() as guest:
            Buses(stage, guest, lines).all()
            saw = cuts.drain(stage, guest)
            lines.holds("nothing is left to send", true=saw == "", saw=saw)
            guest.sh(cuts.PREPARE)
            guest.save(stage.state)
        survive(stage, lines, count)
    print(f"{suite}: {lines.passed} passed, {lines.failed} failed, {time.monotonic() - began:.0f} s")
    return 1 if lines.failed else 0


def survive(stage: Stage, lines: Lines, count: int) -> None:
    """The cuts, the counter-proof, a last boot from power-on that sends what is left, and the reckoning."""
    made = cuts.survey(stage, lines, count, SEED)
    bare = sum(not cut.at_stake for cut in made)
    lines.holds(f"{count - bare} of {count} cuts came while writes were unsynced", true=bare * 2 < count, saw=bare)
    seen = cuts.betrayals(stage, LIVES_ON_A_LIAR, SEED)
    lines.holds(
        f"counter-proof, a disk that lies about flushes: loss is seen, {len(seen)} times",
        true=bool(seen),
    )
    for loss in seen:
        print(f"         | {loss.splitlines()[-1]}", flush=True)
    with stage.boot() as guest:
        lines.holds(f"boots after the last cut ({guest.booted_seconds:.0f} s)", true=True)
        saw = cuts.drain(stage, guest)
        lines.holds("and sends what is left", true=saw == "", saw=saw)
        log = guest.sh("journalctl --boot --unit=sensor-agent --priority=warning --no-pager --output=cat")
    received = stage.receipts()
    lost = [cuts.missing(cut, received) for cut in made]
    for kind in ("sampling", "draining"):
        mine = [(cut, found) for cut, found in zip(made, lost, strict=True) if cut.kind == kind]
        lines.holds(
            f"{kind}: of {sum(cut.stored for cut, _ in mine)} readings reported as stored in {len(mine)} lives none is lost,"
            f" of {sum(len(cut.certain) for cut, _ in mine)} known by value none is changed",
            true=not any(count or wrong for _, (count, wrong) in mine),
            saw=[found for _, found in mine] + [log],
        )
    repeated = len(received) - len({each.key for each in received})
    lines.holds(
        f"{repeated} of {len(received)} were sent twice: acknowledgements that no tick had committed yet",
        true=repeated <= count * cuts.A_TICKS_ACKS,
        saw=repeated,
    )


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(Path(given[0]).resolve(), int((given[1:2] or ["20"])[0]), (given[2:3] or ["trixie"])[0]))
