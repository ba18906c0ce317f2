"""What an enrollment is told and what it tells."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from agent.binding import UNKNOWN, Board
from agent.certificate import Certificate
from agent.record import dataclass, field


@dataclass(frozen=True, slots=True)
class Wish:
    """What to ask for. `subject` has the abbreviations C, ST, L, O, OU; `here` is the board that it is for."""

    name: str
    key_type: str
    validity_days: int
    subject: dict[str, str]
    cert_file: Path
    key_file: Path
    here: Board = UNKNOWN


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an enrollment, for the person watching."""

    name: str
    ok: bool
    detail: str


@dataclass(slots=True)
class Report:
    """What was done. `changed` is False when the device was enrolled already."""

    state: str = "failed"
    changed: bool = False
    certificate: Certificate | None = None
    steps: list[Step] = field(default_factory=list)
    watch: Callable[[Step], None] = lambda _: None  # called with each step as it is done

    def done(self, name: str, detail: str, *, ok: bool = True) -> None:
        """Add a step, and whether it went well."""
        self.steps.append(Step(name, ok=ok, detail=detail))
        self.watch(self.steps[-1])


class Seen(StrEnum):
    """What the shield makes of a pair; UNKNOWN when it cannot be asked, or answers something else."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


Probe = Callable[[tuple[str, str]], Seen]
"""Asks the shield, with a request that stores nothing, what it makes of a pair (certificate file, key file)."""


def unprobed(_: tuple[str, str]) -> Seen:
    """The probe of those who have no shield to ask."""
    return Seen.UNKNOWN
