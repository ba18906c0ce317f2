"""The file system that the spool is on, and whether the service may write there."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.checks.accounts import Account, may
from agent.checks.finding import AS_ROOT, Check, fail, ok, warn
from agent.errors import SpoolError
from agent.record import dataclass
from agent.spool import is_spool
from agent.spool.blank import BYTES_PER_READING

LEAST_ROOM: Final = 64 << 20  # bytes; below this a board fills up within weeks
IN_MEMORY: Final = frozenset({"tmpfs", "ramfs", "overlay"})
UNSAFE: Final = frozenset({"nobarrier", "barrier=0"})  # ext4(5): the card may write out of order in a power cut


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of /proc/mounts."""

    place: Path
    kind: str
    options: frozenset[str]


def mount_of(path: Path, root: Path) -> Mount | None:
    """What the path is mounted on, by the list below the root; None where there is no list."""
    try:
        lines = (root / "proc/mounts").read_text(errors="replace").splitlines()
    except OSError:
        return None
    fields = [line.split() for line in lines]
    # octal escapes as \040 stand for blanks in names, proc_mounts(5)
    mounts = [Mount(Path(row[1].replace("\\040", " ")), row[2], frozenset(row[3].split(","))) for row in fields]
    over = [mount for mount in mounts if path.is_relative_to(mount.place)]
    return max(over, key=lambda mount: len(mount.place.parts), default=None)


def disk(name: str, path: Path, root: Path) -> Iterator[Check]:
    """The file system of `path`, or of the nearest directory above that exists: only what is wrong with it."""
    above = next(parent for parent in (path, *path.parents) if os.access(parent, os.F_OK))
    space = os.statvfs(above)
    mount = mount_of(above, root)
    if space.f_flag & os.ST_RDONLY:
        again = "sudo dmesg | tail; sudo mount -o remount,rw " + str(mount.place if mount else above)
        yield fail(name, f"{above} is read-only: a dying card?", again)
    elif space.f_bavail == 0 or (space.f_files and space.f_favail == 0):
        what = "room" if space.f_bavail == 0 else "inodes"
        yield fail(name, f"{above} has no {what} left", f"df -h {above}; df -i {above}; journalctl --vacuum-size=50M")
    if mount and mount.kind in IN_MEMORY:
        saw = f"{above} is in memory ({mount.kind}): what is there is gone after a power cut"
        yield warn(name, saw, f"put it on the card or on a partition of its own; findmnt -T {above}")
    if mount and mount.options & UNSAFE:
        saw = f"{mount.place} is mounted with {', '.join(sorted(mount.options & UNSAFE))}: a power cut can damage it"
        yield warn(name, saw, f"take that out of /etc/fstab; sudo mount -o remount,barrier=1 {mount.place}")


def spool(path: Path, root: Path, service: Account | None, *, max_readings: int) -> Iterator[Check]:
    """The spool's disk and file, and whether the service may open it; whether so many readings fit."""
    troubles = list(disk("disk", path.parent, root))
    yield from troubles
    try:
        there = is_spool(path)
    except SpoolError as error:
        yield fail("spool", str(error), error.hint)
        return
    except OSError as error:
        if isinstance(error, PermissionError) and os.geteuid() != 0:
            yield warn("spool", f"{path} may not be seen by this user", AS_ROOT)
            return
        yield fail("spool", f"{path}: {error.strerror}", f"ls -ld {path.parent}; id sensor-agent")
        return
    shut = service and closed_to(service, path)
    if shut:
        yield fail("spool", f"{shut} is closed to {SERVICE_IS}", f"sudo chown -R sensor-agent: {path.parent}")
        return
    above = next(parent for parent in path.parents if os.access(parent, os.F_OK))
    space = os.statvfs(above)
    room = space.f_bavail * space.f_frsize
    saw = f"{path}{'' if there else ' (made by the daemon at its start)'}, {room >> 20} MB free"
    lacks = max_readings * BYTES_PER_READING - (path.stat().st_size if there else 0) > room
    if (lacks or (room < LEAST_ROOM and not there)) and not troubles:
        saw += f", too little for {max_readings:,} readings" if lacks else ""
        yield warn("spool", saw, f"df {above}; journalctl --vacuum-size=50M")
    else:
        yield ok("spool", saw)


SERVICE_IS: Final = "the user sensor-agent, as whom the service runs"


def closed_to(account: Account, path: Path) -> Path | None:
    """The first of the directories and the file itself that the account cannot use as a spool; None if all is open."""
    try:
        for parent in reversed(path.parents):
            if parent.exists() and not may(account, parent.stat(), 1):
                return parent
        if path.exists() and not may(account, path.stat(), 6):
            return path
        if path.parent.exists() and not may(account, path.parent.stat(), 7):  # the WAL lies beside it
            return path.parent
    except PermissionError:  # we may see less than the service
        return None
    return None
