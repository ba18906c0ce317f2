"""packaging/apt-repository and packaging/checksums: what fails leaves what is published as it was."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

PACKAGING: Final = Path(__file__).parent.parent / "packaging"
CONTROL: Final = "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a <a@a.test>\nDescription: a\n"


def content(directory: Path) -> dict[str, bytes]:
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def test_a_repository_whose_signature_fails_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not all(map(shutil.which, ("apt-ftparchive", "gpg", "dpkg-deb"))):
        pytest.skip("apt-ftparchive, gpg or dpkg-deb is missing: apt-get install apt-utils gpg dpkg")
    (tmp_path / "gpg").mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(tmp_path / "gpg"))  # without any key
    (tmp_path / "a/DEBIAN").mkdir(parents=True)
    (tmp_path / "a/DEBIAN/control").write_text(CONTROL)
    subprocess.run(["dpkg-deb", "--build", tmp_path / "a", tmp_path / "a_1_all.deb"], capture_output=True, check=True)
    published = tmp_path / "published"
    for name in ("pool/a_1_all.deb", "dists/stable/Release", "dists/stable/InRelease"):
        (published / name).parent.mkdir(parents=True, exist_ok=True)
        (published / name).write_text("as published")
    before = content(published)

    run = subprocess.run(
        [PACKAGING / "apt-repository", published, "mistyped", tmp_path / "a_1_all.deb"],
        capture_output=True,
        check=False,
    )

    assert run.returncode != 0
    assert b"mistyped" in run.stderr
    assert content(published) == before


def test_checksums_of_nothing_are_refused(tmp_path: Path) -> None:
    run = subprocess.run([PACKAGING / "checksums", tmp_path], capture_output=True, text=True, check=False)

    assert (run.returncode, "next: make deb" in run.stderr, content(tmp_path)) == (1, True, {})
