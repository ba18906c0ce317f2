"""The clock: whether it can be believed, who sets it, and what it is after a power cut."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from agent import BUILD_EPOCH
from agent.checks.finding import Check, fail, ok, warn
from agent.record import dataclass

DAEMONS: Final = {
    "systemd-timesyncd": "usr/lib/systemd/systemd-timesyncd",
    "chrony": "usr/sbin/chronyd",
    "ntpd": "usr/sbin/ntpd",
}
RTC: Final = "sys/class/rtc/rtc0/since_epoch"
FAKE: Final = ("etc/fake-hwclock.data", "lib/systemd/system/fake-hwclock.service")
ASK: Final = "timedatectl set-ntp true; timedatectl status"
RTC_SECONDS: Final = 60.0  # a battery clock drifts by a minute in half a year


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """`now` and `rtc` are UNIX seconds, `rtc` None without a battery clock; `daemons` are those installed."""

    now: float
    synchronised: bool
    daemons: tuple[str, ...] = ()
    rtc: float | None = None
    fake: bool = False


def look(root: Path, *, now: float, synchronised: bool) -> ClockFacts:
    """What can be seen of it below the root."""
    try:
        rtc = float((root / RTC).read_text())
    except (OSError, ValueError):
        rtc = None
    return ClockFacts(
        now,
        synchronised,
        tuple(name for name, file in DAEMONS.items() if (root / file).exists()),
        rtc,
        any((root / file).exists() for file in FAKE),
    )


def clock(facts: ClockFacts, *, hold: bool) -> Iterator[Check]:
    """The lines; `hold` says what readings do meanwhile."""
    yield _clock(facts, "readings are held until it is" if hold else "readings are sent all the same")
    if facts.rtc is None:
        if facts.fake:
            yield ok("rtc", "none: fake-hwclock has the board boot at the time of its last hour")
        return
    off = abs(facts.rtc - facts.now)
    if facts.synchronised and off > RTC_SECONDS:
        saw = f"the battery clock says {_when(facts.rtc)}, {off:.0f} s off"
        yield warn("rtc", saw, "sudo hwclock --systohc # off again after a power cut: its battery is flat")
    else:
        yield ok("rtc", "a battery clock")


def _clock(facts: ClockFacts, meanwhile: str) -> Check:
    if facts.now < BUILD_EPOCH:
        return fail("clock", f"it says {_when(facts.now)}, before this package was made: {meanwhile}", ASK)
    if facts.synchronised:
        return ok("clock", "synchronised")
    if not facts.daemons:
        saw = f"not synchronised, and no time daemon is installed: {meanwhile}"
        return warn("clock", saw, "sudo apt install systemd-timesyncd; timedatectl status")
    return warn("clock", f"not synchronised by {facts.daemons[0]}: {meanwhile}", ASK)


def _when(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
