"""Files of the authority's directory that are empty or torn: named, with what to do."""

import subprocess
import sys
from pathlib import Path

import pytest
from world.fleet import NAME

from agent.devshield.registration.ledger import Ledger
from agent.devshield.registration.records import Entry


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    """One of the operator's commands."""
    command = [sys.executable, "-m", "agent", "shield", "authority", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": "x"}', "\0\0"])
def test_record_that_is_empty_or_torn_is_named_with_what_to_do(content: str, tmp_path: Path) -> None:
    Ledger(tmp_path)
    file = tmp_path / "keys" / f"{'a' * 64}.json"
    file.write_text(content)
    words = ["list"], ["revoke", "sensor-1"], ["serve", "--names", "x"]
    for done in [run(*each, "--dir", str(tmp_path)) for each in words]:
        assert (done.returncode, "Traceback" in done.stderr) == (78, False)
        assert f"{file}: is empty or torn" in done.stderr
        assert f"mv {file} {file}.torn" in done.stderr


@pytest.mark.parametrize("content", ["", '{"url":', '{"x": 1}', "5"])
def test_signers_file_that_is_torn_keeps_no_certificate_on_the_allow_list(content: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(Entry("a" * 64, NAME, "issued", "", 0.0, "", "x", "id", "b" * 64))
    (tmp_path / "signer.json").write_text(content)
    done = run("revoke", NAME, "--dir", str(tmp_path))

    assert (done.returncode, "Traceback" in done.stderr) == (78, False)
    assert f"{tmp_path}/signer.json: does not say who signs" in done.stderr
    assert (tmp_path / "allowed-fingerprints").read_text() == ""
