"""The guest's root disk: a small Debian with its own kernel and the package, made once for each package and kept in .cache/vm.

Needs root, mmdebstrap and mkfs.ext4; the machine's own kernel takes no part.
"""

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parent.parent.parent
INSIDE: Final = Path(__file__).parent / "inside"
CACHE: Final = CHECKOUT / ".cache" / "vm"
ROOT_MIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Image:
    """What QEMU boots."""

    disk: Path
    kernel: Path
    initrd: Path
    release: str


def image(suite: str, package: Path) -> Image:
    """The image with that package in it. Raises CalledProcessError if it cannot be made."""
    said = subprocess.run(
        [CHECKOUT / "packaging/tests/root", f"{suite}-vm"], stdout=subprocess.PIPE, check=True, text=True
    )
    tar = Path(said.stdout.strip())
    parts = [tar.name.encode(), package.read_bytes(), *(file.read_bytes() for file in sorted(INSIDE.iterdir()))]
    place = CACHE / f"{suite}-{hashlib.sha256(b''.join(parts)).hexdigest()[:12]}"
    if not place.exists():
        for old in CACHE.glob(f"{suite}-*"):
            shutil.rmtree(old)
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="new-") as scratch:
            _make(Path(scratch), tar, package)
            shutil.rmtree(Path(scratch) / "root")
            Path(scratch).rename(place)
            Path(scratch).mkdir()  # for the clean-up
    return Image(place / "disk", place / "vmlinuz", place / "initrd", (place / "release").read_text())


def _make(scratch: Path, tar: Path, package: Path) -> None:
    """Disk, kernel and initrd in the scratch directory."""
    root = scratch / "root"
    root.mkdir()
    subprocess.run(["tar", "-x", "--exclude=./dev/*", "-f", tar, "-C", root], check=True)
    shutil.copy(package, root / "tmp")
    for script in ("attach.py", "speak.py"):
        shutil.copy(INSIDE / script, root / "usr/local/lib")
    shutil.copy(INSIDE / "install", root / "tmp/install")
    inside = "mount -t proc proc /proc && mknod -m 666 /dev/null c 1 3 && sh /tmp/install && rm -r /tmp/* /dev/null"
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(
        # what it says is worth reading when it fails, and only then
        [
            *("sh", "-c", '"$@" >"$0" 2>&1 || { cat "$0" >&2; exit 1; }', str(scratch / "log")),
            *("unshare", "--mount", "--pid", "--fork", "chroot", str(root), "sh", "-c", inside),
        ],
        env=environment,
        check=True,
    )
    kernel = max((root / "boot").glob("vmlinuz-*"))
    release = kernel.name.removeprefix("vmlinuz-")
    (scratch / "release").write_text(release)
    shutil.copy(kernel, scratch / "vmlinuz")
    shutil.copy(root / "boot" / f"initrd.img-{release}", scratch / "initrd")
    subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-d", root, "-L", "root", scratch / "disk", f"{ROOT_MIB}M"],
        env={"PATH": environment["PATH"]},
        check=True,
    )
