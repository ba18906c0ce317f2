"""The reader's page as a file: small, alone, and allowed to run nothing that is not in it. How it works: make reader."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

import pytest
from world.visitors import Pair, ask, connect

from agent.devshield.extended_api import PAGE
from agent.devshield.shield import Setup, Shield

ROOT: Final = Path(__file__).parents[2]
WORKERS: Final = ROOT / "packaging/shield/src/reader.html"
TEXT: Final = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("tag", ["style", "script"])
def test_its_policy_names_the_hash_of_what_it_runs(tag: str) -> None:
    [inside] = re.findall(rf"<{tag}>(.*?)</{tag}>", TEXT, flags=re.DOTALL)
    hashed = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()

    assert f"{tag}-src 'sha256-{hashed}'" in TEXT, f"write {tag}-src 'sha256-{hashed}' into {PAGE}"


def test_it_is_small_and_loads_nothing_from_elsewhere() -> None:
    assert len(TEXT.encode()) <= 13 << 10
    assert re.findall(r"https?:|//\w|@import|url\(", re.sub(r"sha256-\S+", "", TEXT)) == []


def test_the_worker_has_the_same_file() -> None:
    assert WORKERS.read_bytes() == PAGE.read_bytes()


def test_the_shield_serves_it_to_a_certificate_and_keeps_it_out_of_frames(home: Path, device: Pair) -> None:
    with Shield(Setup(home, rule="strict", api="extended")) as shield:
        to = connect(shield, device)
        got = ask(to, "GET", path="/")
        to.close()
        nobody = connect(shield)
        refused = ask(nobody, "GET", path="/")
        nobody.close()

    assert (got.status, got.headers["Content-Type"], got.body) == (200, "text/html; charset=UTF-8", TEXT.encode())
    assert "frame-ancestors 'none'" in got.headers["Content-Security-Policy"]
    assert got.headers["Cache-Control"] == "no-store"
    assert refused.status == 403
