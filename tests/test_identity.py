"""What the two files amount to, in every state they can be found in; loading never raises."""

import os
import ssl
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives import serialization
from world.identities import authority, put_pair
from world.users import as_nobody

from agent import pem
from agent.identity import Identity, IdentityState, exposed, load, paths, signature
from agent.identity_store import link

NOW = datetime.now(UTC)


def loaded(cert: Path | str, key: Path | str, now: datetime = NOW) -> Identity:
    return load((str(cert), str(key)), now=now)


def test_a_pair_that_loads_is_active(tmp_path: Path) -> None:
    cert, key = put_pair(tmp_path, "sensor-001")
    found = loaded(cert, key)
    assert (found.state, found.pair) == (IdentityState.ACTIVE, (cert, key))
    assert found.certificate is not None
    assert found.certificate.name == "sensor-001"


def encrypted(_: Path, key: Path) -> None:
    loaded_key = serialization.load_pem_private_key(key.read_bytes(), password=None)
    key.write_bytes(
        loaded_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )


def tutorials(cert: Path, _: Path) -> None:
    """The whole JSON answer with its newlines expanded and its quotes stripped."""
    cert.write_text("{success:true,result:{certificate:" + cert.read_text() + ",id:1}}")


def garbage(file: str) -> Callable[[Path, Path], None]:
    def damage(cert: Path, key: Path) -> None:
        (cert if file == "cert" else key).write_bytes(b"-----BEGIN GARBAGE-----\n" + bytes(range(256)))

    return damage


def cut(cert: Path, _: Path) -> None:
    cert.write_bytes(cert.read_bytes()[:300])


def gone(*files: str) -> Callable[[Path, Path], None]:
    def damage(cert: Path, key: Path) -> None:
        for file in files:
            (cert if file == "cert" else key).unlink()

    return damage


def credential_default(cert: Path, key: Path) -> None:
    cert.write_text("not-enrolled")
    key.write_text("not-enrolled")


def dangling(cert: Path, _: Path) -> None:
    cert.unlink()
    cert.symlink_to("nowhere")


def directory(cert: Path, _: Path) -> None:
    cert.unlink()
    cert.mkdir()


def pipe(which: int) -> Callable[[Path, Path], None]:
    def damage(*pair: Path) -> None:
        pair[which].unlink()
        os.mkfifo(pair[which])

    return damage


DAMAGE: dict[str, tuple[Callable[[Path, Path], object], IdentityState, str]] = {
    "no certificate": (gone("cert"), IdentityState.MISSING, "no certificate at"),
    "no key": (gone("key"), IdentityState.MISSING, "no key at"),
    "neither": (gone("cert", "key"), IdentityState.MISSING, "no certificate at"),
    "an empty certificate": (lambda cert, _: cert.write_bytes(b""), IdentityState.MISSING, "not enrolled yet"),
    "the credential's default": (
        credential_default,
        IdentityState.MISSING,
        "not enrolled yet",
    ),
    "a dangling link": (
        dangling,
        IdentityState.MISSING,
        "no certificate at",
    ),
    "a certificate in DER": (
        lambda cert, _: cert.write_bytes(ssl.PEM_cert_to_DER_cert(cert.read_text())),
        IdentityState.BROKEN,
        "no PEM certificate",
    ),
    "something else": (lambda cert, _: cert.write_text("hello\n"), IdentityState.BROKEN, "no PEM certificate"),
    "garbage for a certificate": (garbage("cert"), IdentityState.BROKEN, "no PEM certificate"),
    "a certificate cut short": (cut, IdentityState.BROKEN, "sensor.pem: "),
    "garbage for a key": (garbage("key"), IdentityState.BROKEN, "do not load"),
    "an empty key": (lambda _, key: key.write_bytes(b""), IdentityState.BROKEN, "holds no PEM key"),
    "another key": (lambda _, key: key.write_bytes(pem.new_key("p256")), IdentityState.BROKEN, "is not for the key"),
    "a key of another kind": (
        lambda _, key: key.write_bytes(pem.new_key("rsa2048")),
        IdentityState.BROKEN,
        "is not for the key",
    ),
    "an encrypted key": (encrypted, IdentityState.BROKEN, "is encrypted"),
    "the tutorial's certificate file": (tutorials, IdentityState.BROKEN, "in the middle of a line"),
    "a pipe for a certificate": (pipe(0), IdentityState.BROKEN, "no regular file"),
    "a pipe for a key": (pipe(1), IdentityState.BROKEN, "no regular file"),
    "a directory": (directory, IdentityState.BROKEN, "cannot be read"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_cannot_be_used_has_a_state_a_reason_and_a_way_out(tmp_path: Path, name: str) -> None:
    damage, state, reason = DAMAGE[name]
    cert, key = put_pair(tmp_path)
    damage(Path(cert), Path(key))
    found = loaded(cert, key)
    assert (found.state, found.pair) == (state, None)
    assert reason in found.detail
    assert found.fix


def test_an_expired_pair_still_loads(tmp_path: Path) -> None:
    cert, key = put_pair(tmp_path, not_before=NOW - timedelta(days=9), not_after=NOW - timedelta(days=1))
    found = loaded(cert, key)
    assert (found.state, found.pair) == (IdentityState.EXPIRED, (cert, key))
    assert f"{NOW - timedelta(days=1):%Y-%m-%d}" in found.detail


def test_a_pair_is_valid_to_its_last_second(tmp_path: Path) -> None:
    end = NOW.replace(microsecond=0) + timedelta(days=1)
    files = put_pair(tmp_path, not_after=end)
    assert loaded(*files, now=end - timedelta(seconds=1)).state is IdentityState.ACTIVE
    assert loaded(*files, now=end).state is IdentityState.EXPIRED


def test_an_rsa_pair_is_as_good(tmp_path: Path) -> None:
    key = pem.new_key("rsa2048")
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "cert.pem").write_bytes(authority().sign(pem.signing_request(key, name="x", subject={})))
    assert loaded(tmp_path / "cert.pem", tmp_path / "key.pem").state is IdentityState.ACTIVE


def test_a_pkcs1_key_is_as_good(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    made = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no openssl here")
    key.write_bytes(made.stdout)
    (tmp_path / "cert.pem").write_bytes(authority().sign(pem.signing_request(made.stdout, name="x", subject={})))
    assert loaded(tmp_path / "cert.pem", key).state is IdentityState.ACTIVE


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user can look into; pytest's own are root's alone."""
    with TemporaryDirectory(prefix="test-identity-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.mark.parametrize("closed", ["key", "directory of the key", "certificate"])
def test_a_file_that_may_not_be_read_is_named(open_directory: Path, closed: str) -> None:
    cert, key = put_pair(open_directory / "pair")
    private = open_directory / "private"
    private.mkdir()
    key = str(Path(key).rename(private / "key.pem"))
    Path(key).chmod(0o644)
    {
        "key": Path(key).chmod,
        "directory of the key": private.chmod,
        "certificate": Path(cert).chmod,
    }[closed](0o600)
    with as_nobody():
        found = loaded(*paths(cert, key, {}))
    assert (found.state, found.pair) == (IdentityState.BROKEN, None)
    assert "Permission denied" in found.detail
    assert found.fix == f"namei -l {cert if closed == 'certificate' else key}"


def test_credentials_of_the_unit_come_first(tmp_path: Path) -> None:
    put_pair(tmp_path)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert paths("/c", "/k", environ) == (f"{tmp_path}/sensor.pem", f"{tmp_path}/sensor-key.pem")


def test_half_of_the_credentials_is_none(tmp_path: Path) -> None:
    put_pair(tmp_path)
    (tmp_path / "sensor-key.pem").unlink()
    assert paths("/c", "/k", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == ("/c", "/k")


def test_plain_files_are_taken_as_they_are(tmp_path: Path) -> None:
    cert, key = put_pair(tmp_path)
    assert paths(cert, key, {}) == (cert, key)


def test_links_through_one_directory_are_followed_once(tmp_path: Path) -> None:
    put_pair(tmp_path / "gen" / "1")
    (tmp_path / "current").symlink_to("gen/1")
    (tmp_path / "cert").symlink_to(tmp_path / "current" / "sensor.pem")
    (tmp_path / "key").symlink_to("current/sensor-key.pem")
    (tmp_path / "key").unlink()
    (tmp_path / "key").symlink_to(tmp_path / "current" / "sensor-key.pem")
    assert paths(str(tmp_path / "cert"), str(tmp_path / "key"), {}) == (
        f"{tmp_path}/gen/1/sensor.pem",
        f"{tmp_path}/gen/1/sensor-key.pem",
    )


def test_the_signature_changes_with_either_file(tmp_path: Path) -> None:
    files = put_pair(tmp_path)
    seen = {signature(files)}
    os.utime(files[0], ns=(1, 1))
    seen.add(signature(files))
    Path(files[1]).write_bytes(b"another")
    seen.add(signature(files))
    Path(files[1]).unlink()
    seen.add(signature(files))
    assert len(seen) == 4


def test_the_signature_changes_when_a_link_leads_elsewhere(tmp_path: Path) -> None:
    for number in ("1", "2"):
        put_pair(tmp_path / number)
    link(tmp_path / "current", Path("1"))
    files = (f"{tmp_path}/current/sensor.pem", f"{tmp_path}/current/sensor-key.pem")
    before = signature(files)
    link(tmp_path / "current", Path("2"))
    assert signature(files) != before


@pytest.mark.parametrize(
    ("mode", "warns"), [(0o600, False), (0o400, False), (0o640, False), (0o660, True), (0o604, True), (0o644, True)]
)
def test_a_key_that_others_may_read_or_write_is_told(tmp_path: Path, mode: int, warns: bool) -> None:
    _, key = put_pair(tmp_path)
    Path(key).chmod(mode)
    said = (f"{key} may be read or written by others (mode {mode:04o})", f"sudo chmod 0600 {key}")
    assert exposed(key) == (said if warns else None)
