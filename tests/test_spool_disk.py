"""Disks that vanish, turn read-only, answer with errors; files that are deleted, replaced or somebody else's: for real."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from power.kernel import shut_down
from world.readings import readings, spool_in
from world.rig import Rig
from world.users import let_in

from agent.config import Config, UplinkConfig
from agent.spool import Counts, Spool
from agent.status.problems import of_spool


class Card:
    """An ext4 on a loop device, as on a card that can be pulled."""

    def __init__(self, scratch: Path) -> None:
        self.path = scratch / "card"
        self._image = scratch / "image"
        self.path.mkdir()
        with self._image.open("wb") as file:
            file.truncate(24 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(self._image)], check=True)

    def put_in(self) -> None:
        subprocess.run(["mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.path)], check=True)

    def pull(self) -> None:
        """What was not written is lost, and every access is an error."""
        shut_down(self.path)

    def take_out(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)

    def turn_read_only(self) -> None:
        """As ext4 does by itself after an error, although files are open for writing."""
        source = subprocess.run(
            ["findmnt", "-n", "-o", "SOURCE", str(self.path)], check=True, capture_output=True, text=True
        ).stdout.strip()
        Path(f"/sys/fs/ext4/{Path(source).name}/trigger_fs_error").write_text("a test\n")


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Card]:
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("a disk that vanishes needs root, to mount one")
    made = Card(tmp_path)
    try:
        made.put_in()
    except subprocess.CalledProcessError:
        pytest.skip("no disk can be mounted here")
    yield made
    with suppress(subprocess.CalledProcessError):
        made.take_out()


def pending(spool: Spool) -> list[int]:
    return [(spooled.reading.milli_celsius + 18_000) // 10 for spooled in spool.head(10_000)]


@pytest.mark.parametrize("fault", ["pull", "turn_read_only"])
def test_a_disk_that_fails_while_running_is_named_and_healed_when_it_comes_back(card: Card, fault: str) -> None:
    with spool_in(card.path) as spool:
        spool.append(readings(1, 2))
        getattr(card, fault)()
        spool.append(readings(3))
        spool.append(readings(4))
        assert spool.counts().trouble
        assert pending(spool)[-2:] == [3, 4]
        card.take_out()
        spool.append(readings(5))
        assert spool.counts().trouble
        card.put_in()
        spool.append(readings(6))
        assert spool.counts().trouble == ""
        assert pending(spool) == [1, 2, 3, 4, 5, 6]
    with spool_in(card.path) as spool:
        assert pending(spool) == [1, 2, 3, 4, 5, 6]
    assert not list(card.path.glob("*.damaged-*"))


def test_what_is_delivered_while_the_disk_is_away_does_not_cost_what_lies_on_it(card: Card) -> None:
    with spool_in(card.path) as spool:
        spool.append(readings(1, 2))
        card.pull()
        spool.append(readings(3))
        spool.append(readings(4))
        for spooled in spool.head():
            spool.ack(spooled.seq)
        card.take_out()
        card.put_in()
        spool.append(readings(5))
        assert (pending(spool), spool.counts().pending, spool.counts().trouble) == ([1, 2, 5], 3, "")


def test_nothing_is_written_where_the_disk_was_mounted(card: Card) -> None:
    with spool_in(card.path) as spool:
        spool.append(readings(1))
        card.take_out()
        spool.append(readings(2))
        assert "the disk of" in spool.counts().trouble
        assert list(card.path.iterdir()) == []
        card.put_in()


DELETED = [["spool.db"], ["spool.db-wal"], ["spool.db", "spool.db-wal"]]


@pytest.mark.parametrize("names", DELETED, ids=" ".join)
def test_a_deleted_file_is_put_back_with_all_its_readings(tmp_path: Path, names: list[str]) -> None:
    with spool_in(tmp_path) as spool:
        for number in range(100):
            spool.append(readings(number))
        for name in names:
            (tmp_path / name).unlink()
        spool.append(readings(100))
        assert spool.counts().trouble == ""
        left = tmp_path / "left"
        left.mkdir()
        for file in tmp_path.glob("spool.db*"):
            shutil.copy(file, left)
        with spool_in(left) as after:
            assert pending(after) == list(range(101))


def test_a_replaced_file_is_named_and_the_one_in_use_put_back_when_it_is_gone(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with spool_in(tmp_path / "other") as other:
        other.append(readings(77))
    with spool_in(tmp_path) as spool:
        spool.append(readings(1))
        (tmp_path / "other" / "spool.db").rename(tmp_path / "spool.db")
        spool.append(readings(2))
        assert "was replaced" in spool.counts().trouble
        assert pending(spool) == [1, 2]
        (tmp_path / "spool.db").unlink()
        spool.append(readings(3))
        assert spool.counts().trouble == ""
    with spool_in(tmp_path) as spool:
        assert pending(spool) == [1, 2, 3]


AS_NOBODY = """
import os, sys
from pathlib import Path
from world.readings import readings, spool_in
from world.rig import Rig
path = Path(sys.argv[1])
os.chdir(path)
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
with spool_in(path) as spool:
    print(spool.counts().trouble)
    spool.append(readings(2))
    print(len(spool.head()))
    [spool.ack(spooled.seq) for spooled in spool.head()]
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming nobody needs root")
def test_what_root_makes_in_the_directory_of_the_service_is_the_services(tmp_path: Path) -> None:
    let_in(tmp_path)
    os.chown(tmp_path, 65534, 65534)
    with spool_in(tmp_path, watermark=tmp_path / "watermark") as spool:
        spool.append(readings(1))
        owners = {file.name: (file.stat().st_uid, file.stat().st_gid) for file in tmp_path.iterdir()}
    assert owners == dict.fromkeys(("spool.db", "spool.db-wal", "watermark"), (65534, 65534))
    assert run(AS_NOBODY, tmp_path).stdout.splitlines() == ["", "2"]


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming nobody needs root")
def test_a_file_of_another_owner_is_named(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(readings(1))
    let_in(tmp_path)
    before = (tmp_path / "spool.db").read_bytes()
    done = run(AS_NOBODY, tmp_path)
    trouble, in_memory = done.stdout.splitlines()
    assert "belongs to user 0, this process runs as user 65534" in trouble
    counts = Counts(pending=0, held=0, set_aside=0, dropped=0, oldest=None, trouble=trouble)
    (told,) = of_spool(counts, Config(UplinkConfig(url="https://shield.test/temps"), ()), before=None)
    assert told.fix == "sudo chown -R sensor-agent: /var/lib/sensor-agent"
    assert in_memory == "1"
    assert (tmp_path / "spool.db").read_bytes() == before


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A board whose spool leads to a disk that is not mounted."""
    with Rig(tmp_path) as made:
        (tmp_path / "spool.db").symlink_to(tmp_path / "absent" / "spool.db")
        yield made


def test_the_daemon_starts_and_delivers_without_its_spool_and_takes_it_up_when_it_is_there(rig: Rig) -> None:
    rig.enroll()
    rig.start()
    rig.until(lambda: len(rig.stored()) >= 4)
    assert rig.status()["state"] == "broken"
    assert "cannot be opened" in rig.status()["spool"]["state"]
    Spool(rig.directory / "absent" / "spool.db").close()
    rig.until(lambda: rig.status()["spool"]["state"] == "ok")
    assert rig.status()["state"] == "healthy"


def test_run_once_that_can_neither_store_nor_deliver_exits_73(rig: Rig) -> None:
    done = rig.run("run", "--once")
    assert done.returncode == 73
    assert "readings lost" in done.stderr


FAILING = """
import sys
from pathlib import Path
from world.readings import readings, spool_in
from world.rig import Rig
with spool_in(Path(sys.argv[1])) as spool:
    troubles = set()
    for number in range(120):
        spool.append(readings(number))
        troubles.add(spool.counts().trouble)
    for _ in range(3):
        spool.append([])
    print(len(troubles - {""}), spool.counts().trouble or "well", len(spool.head(1000)))
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace, which makes calls fail, is not installed")
@pytest.mark.parametrize("fault", ["pwrite64:error=EIO:when=900..903", "fdatasync:error=EIO:when=60..61"])
def test_an_input_output_error_is_not_taken_for_damage_and_loses_nothing(tmp_path: Path, fault: str) -> None:
    with spool_in(tmp_path):
        pass
    strace = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={fault.partition(':')[0]}", "-e", f"inject={fault}"]
    done = run(FAILING, tmp_path, *strace)
    troubles, trouble, count = done.stdout.rsplit(maxsplit=2)
    assert (int(troubles) > 0, trouble, count) == (True, "well", "120"), done.stdout + done.stderr
    assert not list(tmp_path.glob("*.damaged-*"))
    with spool_in(tmp_path) as spool:
        assert pending(spool) == list(range(120))


def run(script: str, directory: Path, *before: str) -> "subprocess.CompletedProcess[str]":
    environ = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(
        [*before, sys.executable, "-c", script, str(directory)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
