"""The time of day, and whether to believe it: a board without a battery boots in the past."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent import BUILD_EPOCH
from agent.record import dataclass

SYNCHRONISED: Final = Path("run/systemd/timesync/synchronized")  # touched at each sync, systemd-timesyncd(8)
SEEN: Final = Path("run/sensor-agent-clock/synchronised")  # by sensor-agent-clock.service, which asks the kernel
BOOT_ID: Final = Path("proc/sys/kernel/random/boot_id")
STA_UNSYNC: Final = 0x0040  # linux/timex.h
_TIMEX_BYTES: Final = 208


@dataclass(frozen=True, slots=True)
class Stamp:
    """One instant: `utc` as the clock has it, `boot_seconds` since boot; `trusted` says whether `utc` is true."""

    utc: float
    boot_seconds: float
    trusted: bool


def kernel_says_synchronised() -> bool:
    """Whether some time daemon (chrony, ntpd, timesyncd) disciplines the clock, by adjtimex(2) without changing it.

    False also where the call is forbidden, as under ProtectClock=.
    """
    import ctypes  # most boards have timesyncd, whose file is asked first

    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    if ctypes.CDLL(None, use_errno=True).adjtimex(buffer) < 0:
        return False
    offset = 40 if ctypes.sizeof(ctypes.c_long) == 8 else 20  # of `status`, behind three longs and their padding
    status = int.from_bytes(buffer.raw[offset : offset + 4], "little")
    return not status & STA_UNSYNC


class Clock:
    """Stamps for readings. Trust is asked for until it is given once, and then kept until the next boot.

    A time from before this package was made is never trusted, whoever says so.
    `root` prefixes /run and /proc; under another root than `/` the tree alone decides, not this kernel.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        *,
        trust_any: bool = False,
        wall: Callable[[], float] = time.time,
        since_boot: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        boot_id: str = "",
    ) -> None:
        self._synchronised_files = (root / SYNCHRONISED, root / SEEN)
        self._ask_kernel = root == Path("/")
        self._trust_any = trust_any
        self._wall = wall
        self._since_boot = since_boot
        self._synchronised = False
        self.boot_id = boot_id or _boot_id(root)

    @property
    def synchronised(self) -> bool:
        """Whether a time daemon has set the clock since boot."""
        if not self._synchronised:
            told = any(file.exists() for file in self._synchronised_files)
            self._synchronised = told or (self._ask_kernel and kernel_says_synchronised())
        return self._synchronised

    def stamp(self) -> Stamp:
        """This instant."""
        utc, boot_seconds = self._wall(), self._since_boot()
        return Stamp(utc, boot_seconds, utc >= BUILD_EPOCH and (self._trust_any or self.synchronised))


def _boot_id(root: Path) -> str:
    """This boot's id without dashes, as systemd's %b has it in $BOOT_ID and the kernel's file has not.

    Of the process where /proc hides the file (ProcSubset=pid) and nobody says: it then holds readings no longer
    than it lives.
    """
    import os

    try:
        text = (root / BOOT_ID).read_text().strip()
    except OSError:
        text = os.environ.get("BOOT_ID", "")
    return text.replace("-", "") or f"process {os.getpid()}"
