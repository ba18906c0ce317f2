"""The store of keys and certificates: private from the first byte, and switched all at once."""

import json
import os
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from world.disk import Disk
from world.identities import authority

from agent import pem
from agent.errors import CannotWrite, ConfigError, TryLater
from agent.identity import paths
from agent.identity_store import KEPT_GENERATIONS, IdentityStore, write_synced


def pair(number: int = 0) -> tuple[bytes, bytes]:
    """A fresh key with its certificate."""
    key = pem.new_key("p256")
    return key, authority().sign(pem.signing_request(key, name=f"sensor-{number}", subject={}))


def store_in(directory: Path) -> IdentityStore:
    store = IdentityStore(directory / "identity")
    with store.lock():
        return store


def test_a_committed_pair_is_the_current_one(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    key, certificate = pair()
    store.commit(key=key, certificate=certificate, meta={"issuer": "x"})
    current = tmp_path / "identity" / "current"
    assert ((current / "key.pem").read_bytes(), (current / "cert.pem").read_bytes()) == (key, certificate)
    assert json.loads((current / "meta.json").read_text()) == {"issuer": "x"}


def test_two_earlier_pairs_are_kept(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    for number in range(6):
        key, certificate = pair(number)
        store.commit(key=key, certificate=certificate, meta={})
    kept = sorted(path.name for path in (tmp_path / "identity" / "gen").iterdir())
    assert kept == ["000004", "000005", "000006"]
    assert len(kept) == KEPT_GENERATIONS


def test_the_names_lead_through_current(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    cert, key = tmp_path / "certs" / "sensor.pem", tmp_path / "private" / "sensor-key.pem"
    store.check_places(cert, key)
    for number in range(2):
        secret, certificate = pair(number)
        store.commit(key=secret, certificate=certificate, meta={})
        store.place(cert, key)
        assert (cert.read_bytes(), key.read_bytes()) == (certificate, secret)


def test_a_second_enrollment_is_told_to_try_later(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    with store.lock(), pytest.raises(TryLater), IdentityStore(tmp_path / "identity").lock():
        pass


def test_what_is_pending_is_read_back_and_forgotten_as_a_whole(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.request.keep("key.pem", b"secret")
    store.request.keep("request.pem", b"asked")
    assert (store.request.part("key.pem"), store.request.part("other")) == (b"secret", None)
    store.request.forget()
    assert store.request.part("key.pem") is None
    assert sorted(path.name for path in (tmp_path / "identity").iterdir()) == ["lock"]


@pytest.mark.parametrize("kind", ["file", "link elsewhere", "dangling link"])
@pytest.mark.parametrize("which", ["cert", "key"])
def test_what_somebody_else_put_there_is_never_overwritten(tmp_path: Path, kind: str, which: str) -> None:
    store = store_in(tmp_path)
    places = {"cert": tmp_path / "sensor.pem", "key": tmp_path / "sensor-key.pem"}
    if kind == "file":
        places[which].write_text("somebody's")
    else:
        (tmp_path / "elsewhere").touch()
        places[which].symlink_to("elsewhere" if kind == "link elsewhere" else "nowhere")
    with pytest.raises(ConfigError, match="put there by somebody else"):
        store.check_places(places["cert"], places["key"])


def test_a_place_in_a_read_only_directory_is_told_before_anything_is_asked(disk: Disk, tmp_path: Path) -> None:
    store = store_in(tmp_path)
    disk.remount("ro")
    with pytest.raises(CannotWrite, match="cannot be written") as raised:
        store.check_places(disk.path / "sensor.pem", disk.path / "sensor-key.pem")
    assert raised.value.exit_code == 73


def test_links_that_an_image_builder_made_are_enough_on_a_read_only_etc(disk: Disk, tmp_path: Path) -> None:
    store = store_in(tmp_path)
    cert, key = disk.path / "sensor.pem", disk.path / "sensor-key.pem"
    cert.symlink_to(store.directory / "current" / "cert.pem")
    key.symlink_to(store.directory / "current" / "key.pem")
    disk.remount("ro")
    store.check_places(cert, key)
    made = pair()
    store.commit(key=made[0], certificate=made[1], meta={})
    store.place(cert, key)
    assert (key.read_bytes(), cert.read_bytes()) == made


def test_a_full_disk_is_told_and_the_current_pair_stays(disk: Disk) -> None:
    store = store_in(disk.path)
    first = pair()
    store.commit(key=first[0], certificate=first[1], meta={})
    disk.fill()
    second = pair()
    with pytest.raises(CannotWrite, match="No space left"):
        store.commit(key=second[0], certificate=second[1], meta={})
    assert (disk.path / "identity" / "current" / "key.pem").read_bytes() == first[0]


CHILD = """
import os, sys
from pathlib import Path
from agent.identity_store import IdentityStore
os.umask(0)
modes = []
def hook(event, arguments):
    # what is open for writing under a name that the directory shows already
    if event in ("os.rename", "os.remove", "os.symlink"):
        for parent, _, files in os.walk(sys.argv[1]):
            modes.extend((name, os.lstat(os.path.join(parent, name)).st_mode & 0o777) for name in files)
sys.addaudithook(hook)
real_open = os.open
store = IdentityStore(Path(sys.argv[1]) / "identity")
with store.lock():
    store.request.keep("key.pem", b"secret")
    store.commit(key=b"secret", certificate=b"public", meta={})
for name, mode in sorted(set(modes)):
    print(name, oct(mode))
"""


def test_a_key_is_private_from_its_first_byte_whatever_the_umask(tmp_path: Path) -> None:
    environ = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    seen = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], env=environ, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert "key.pem.new 0o600" in seen
    assert not [line for line in seen if line.startswith("key") and not line.endswith("0o600")]
    directories = {path.name: oct(path.stat().st_mode & 0o077) for path in tmp_path.rglob("*") if path.is_dir()}
    assert set(directories.values()) == {"0o0"}


def test_a_synced_write_replaces_the_whole_file(tmp_path: Path) -> None:
    write_synced(tmp_path / "file", b"a long one")
    write_synced(tmp_path / "file", b"short")
    assert (tmp_path / "file").read_bytes() == b"short"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_under_a_fast_writer_no_reader_ever_sees_a_mismatched_pair(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    cert, key = tmp_path / "sensor.pem", tmp_path / "sensor-key.pem"
    pairs = [pair(number) for number in range(4)]
    store.commit(key=pairs[0][0], certificate=pairs[0][1], meta={})
    store.place(cert, key)
    stop = threading.Event()
    switched = []

    def switch() -> None:
        while not stop.is_set():
            for secret, certificate in pairs:
                store.commit(key=secret, certificate=certificate, meta={})
                store.place(cert, key)
                switched.append(1)

    writer = threading.Thread(target=switch)
    writer.start()
    loaded = gone = 0
    try:
        while loaded < 400 and len(switched) < 4000:
            files = paths(str(cert), str(key), {})
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(*files)
                loaded += 1
            except FileNotFoundError:
                gone += 1  # three switches later: an older pair was removed, and is looked for anew
    finally:
        stop.set()
        writer.join()
    assert loaded == 400
    assert len(switched) > 20
