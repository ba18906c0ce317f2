"""One line for each thing that must be true, with the seconds since the start; as packaging/tests/checklist prints them."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

STEP_SECONDS = 0.2


@dataclass(slots=True)
class Lines:
    """Prints and counts."""

    passed: int = 0
    failed: int = 0
    _began: float = field(default_factory=time.monotonic)

    def holds(self, text: str, *, true: bool, saw: object = "") -> bool:
        """One line; what was seen is shown below one that failed."""
        self.passed += true
        self.failed += not true
        print(f"{'ok' if true else 'FAILED':<6} {time.monotonic() - self._began:6.1f} s  {text}", flush=True)
        if not true:
            print(f"         | saw: {saw}", flush=True)
        return true

    def within(self, text: str, seconds: float, look: Callable[[], object]) -> bool:
        """A line about what becomes true in time: `look` gives "" then, and until then what it sees instead."""
        began = time.monotonic()
        saw = until(seconds, look)
        return self.holds(f"{text} ({time.monotonic() - began:.1f} s)", true=saw == "", saw=saw)


def until(seconds: float, look: Callable[[], object]) -> object:
    """Look again and again; "" as soon as it is, otherwise what was seen last."""
    end = time.monotonic() + seconds
    while (saw := look()) != "" and time.monotonic() < end:
        threading.Event().wait(STEP_SECONDS)
    return saw
