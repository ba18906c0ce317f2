"""Power cuts by the real kernel: `python -m power.kernel CUTS`, as root.

An ext4 of its own is mounted over a loop device and shut down under a working spool, without flushing its journal
(EXT4_IOC_SHUTDOWN, linux/fs/ext4/ext4.h); what is there after the next mount is judged by the same rules as a simulated
cut. Fails if one reading is lost or changed, or, told to use other settings, if none is.
"""

import contextlib
import fcntl
import logging
import os
import random
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from power.lives import SETTINGS, WORK, Beginning
from power.recorded import Mark
from power.survey import SEED, Tally, Told, complaint

EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
NO_LOG_FLUSH = struct.pack("I", 2)  # EXT4_GOING_FLAGS_NOLOGFLUSH
IMAGE_BYTES = 24 << 20
LIVES = "1000"


@contextlib.contextmanager
def mounted(image: Path, directory: Path) -> Iterator[None]:
    """The image's file system at the directory."""
    subprocess.run(["mount", "-o", "loop,noatime", str(image), str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def shut_down(directory: Path) -> None:
    """From here on nothing reaches the disk."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH)
    finally:
        os.close(fd)


def one_cut(image: Path, directory: Path, script: str, seconds: float) -> tuple[str, str]:
    """Start a spool, cut the power so long after its first reading was stored, and look."""
    told = Told(Beginning())
    environ = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with (
        mounted(image, directory),
        subprocess.Popen(
            [sys.executable, "-c", script, str(directory), "0", LIVES],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as child,
    ):
        assert child.stdout is not None
        first = child.stdout.readline()
        assert first, "the spool did not start"
        threading.Event().wait(seconds)
        shut_down(directory)
        child.kill()
        said = [first, *child.stdout.read().split("\n")[:-1]]
        child.wait()
        for line in filter(None, said):
            told.hear(Mark(line.strip()))
    left = Path(shutil.copyfile(image, image.with_suffix(".after")))
    try:
        with mounted(left, directory):
            return judged(directory, told)
    finally:
        left.unlink()


def judged(directory: Path, told: Told) -> tuple[str, str]:
    """The complaint, also about a spool that cannot be opened."""
    try:
        return complaint(directory, told, Beginning())
    except Exception as error:  # noqa: BLE001 - a spool that cannot be opened is the worst of it
        return "corrupt", repr(error)


def survey(cuts: int, settings: str) -> Tally:
    """Cut the power that often."""
    chance, tally = random.Random(SEED), Tally()
    with TemporaryDirectory(prefix="power-", dir="/dev/shm") as scratch:
        fresh, directory = Path(scratch) / "fresh", Path(scratch) / "mounted"
        directory.mkdir()
        with fresh.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(fresh)], check=True)
        for number in range(cuts):
            # files of their own: while another mount namespace still has a dead file system, mount(8) gives it again
            image = Path(shutil.copyfile(fresh, Path(scratch) / f"image-{number}"))
            kind, words = one_cut(image, directory, SETTINGS[settings] + WORK, chance.uniform(0, 0.25))
            image.unlink()
            tally.cuts += 1
            tally.lost += kind == "lost"
            tally.corrupt += kind == "corrupt"
            if kind:
                tally.complaints.append(words)
    return tally


def main(cuts: int) -> int:
    """Ours, and a fifth as many cuts with what must lose."""
    failed = 0
    print(f"{'settings':<26} {'cuts':>6} {'lost':>6} {'corrupt':>8} {'seconds':>8}")
    for settings, number in (
        ("ours", cuts),
        ("synchronous=NORMAL", cuts // 5),
        ("SQLite's default journal", cuts // 5),
    ):
        began = time.monotonic()
        tally = survey(number, settings)
        seconds = time.monotonic() - began
        print(f"{settings:<26} {tally.cuts:>6} {tally.lost:>6} {tally.corrupt:>8} {seconds:>8.0f}", flush=True)
        if (tally.lost + tally.corrupt == 0) != (settings == "ours"):
            failed = 1
            print(*tally.complaints[:5], sep="\n")
    return failed


if __name__ == "__main__":
    logging.disable()
    sys.exit(main(int(sys.argv[1])))
