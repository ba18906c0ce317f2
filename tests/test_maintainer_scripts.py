"""packaging/debian: what the maintainer scripts do to a device, run in a tree of its own."""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest
from world.disk import mounted

DEBIAN: Final = Path(__file__).parent.parent / "packaging/debian"
KEPT: Final = {
    "etc/sensor-agent/config.toml",
    "etc/sensor-agent/conf.d/50-site.toml",
    "var/lib/sensor-agent/spool.db",
    "var/lib/sensor-agent-identity/gen/000001/key.pem",
    "run/sensor-agent/status.json",
}


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A device's files, after `remove`."""
    for name in KEPT:
        put(tmp_path / name)
    return tmp_path


def put(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("x")


def moved(device: Path, name: str, target: str) -> Path:
    """Move a directory of the device elsewhere and leave a link; gives where it is now."""
    (device / target).parent.mkdir(parents=True, exist_ok=True)
    (device / name).rename(device / target)
    (device / name).symlink_to(device / target)
    return device / target


def postrm(device: Path, why: str) -> None:
    script = (DEBIAN / "sensor-agent.postrm").read_text()
    inside = re.sub(r"(?<![\w.*])/(?=(etc|var|run)/)", f"{device}/", script)
    subprocess.run(["sh", "-c", inside, "postrm", why], check=True)


def left(device: Path) -> set[str]:
    return {str(each.relative_to(device)) for each in device.rglob("*") if not each.is_dir() or each.is_symlink()}


def test_remove_keeps_everything(device: Path) -> None:
    postrm(device, "remove")
    assert left(device) == KEPT


def test_purge_leaves_no_trace(device: Path) -> None:
    (device / "etc/ssl/certs").mkdir(parents=True)
    (device / "etc/ssl/certs/sensor.pem").symlink_to(f"{device}/var/lib/sensor-agent-identity/current/cert.pem")
    postrm(device, "purge")
    assert [each for each in device.rglob("*") if "sensor" in each.name] == []


def test_purge_leaves_a_certificate_of_somebody_else(device: Path) -> None:
    put(device / "etc/ssl/certs/sensor.pem")
    postrm(device, "purge")
    assert left(device) == {"etc/ssl/certs/sensor.pem"}


def test_purge_takes_what_is_behind_a_link(device: Path) -> None:
    spool = moved(device, "var/lib/sensor-agent", "data/sensor-agent")
    identity = moved(device, "var/lib/sensor-agent-identity", "data/sensor-agent-identity")
    postrm(device, "purge")
    assert (left(device), spool.exists(), identity.exists()) == (set(), False, False)


@pytest.mark.parametrize("place", ["data", "sensor-agents/data", "data/sensor-agents", "data/sensor-agent-authority"])
def test_purge_leaves_a_directory_alone_that_is_not_called_as_the_packages_own(device: Path, place: str) -> None:
    data = moved(device, "var/lib/sensor-agent", place)
    put(data / "of-somebody-else")
    postrm(device, "purge")
    assert left(device) == {f"{place}/of-somebody-else", f"{place}/spool.db"}


def test_purge_leaves_an_empty_directory_of_somebody_else(device: Path) -> None:
    (device / "srv/empty").mkdir(parents=True)
    (device / "var/lib/sensor-agent/spool.db").unlink()
    (device / "var/lib/sensor-agent").rmdir()
    (device / "var/lib/sensor-agent").symlink_to(device / "srv/empty")
    postrm(device, "purge")
    assert ((device / "srv/empty").is_dir(), left(device)) == (True, set())


def test_purge_leaves_what_is_mounted_below_and_takes_the_rest(device: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place = device / "var/lib/sensor-agent/backup"
    with mounted(place, size=1 << 20):
        put(place / "of-somebody-else")
        postrm(device, "purge")
        assert left(device) == {"var/lib/sensor-agent/backup/of-somebody-else"}
        assert f"{place.parent}: not empty; next: findmnt | grep {place.parent}\n" in capfd.readouterr().err


def test_purge_can_be_said_twice(device: Path) -> None:
    postrm(device, "purge")
    postrm(device, "purge")
    assert left(device) == set()
