"""How long the daemon takes to end after SIGTERM, by what it is in the middle of; the budget is a second. Asserts nothing.

python tests/bench/bench_stop.py [TIMES]
"""

import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath

from bench.table import figure, machine, table
from test_daemon import STATES, patient, slow_library
from world.rig import Rig


def stopped(name: str) -> float:
    """Seconds from the signal to the end."""
    states = {state.__name__: state for state in STATES}
    with tempfile.TemporaryDirectory() as directory, Rig(Path(directory)) as rig:
        rig.enroll()
        if name in states:
            reached, environ = states[name](rig), None
        else:
            reached, environ = (lambda: "import begins" in rig.log()), slow_library(Path(directory) / "slow")
        patient(rig)
        daemon = rig.start(environ=environ)
        rig.until(reached)
        return rig.stop(daemon)


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    machine()
    names = [*(state.__name__ for state in STATES), "importing the HTTP library"]
    took = {name: [stopped(name) for _ in range(times)] for name in names}
    table(
        f"From SIGTERM to the end, {times} times each",
        ("", "median ms", "longest ms"),
        [
            (name.replace("_", " "), figure(statistics.median(each) * 1000), figure(max(each) * 1000))
            for name, each in took.items()
        ],
    )


if __name__ == "__main__":
    main()
