"""Every route of the Worker's OpenAPI description, fuzzed by schemathesis: no fault, and nothing of another device.

What the description cannot say, as how far ahead a time may be, is refused although it fits: those two checks are out.
"""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from interop import deployed
from interop.deployed import BLOB, SOURCE, certificate
from interop.runtime import ROOT

PROGRAM = os.environ.get("SCHEMATHESIS", str(ROOT / "build/interop/fuzz/bin/schemathesis"))
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "10")
VISITOR, OTHER = "a" * 64, "b" * 64
CANARY = {"temperature": "-18.0625", "time": "2026-11-23T09:14:22Z", "sensor": "canary"}


def bodies(har: Path) -> Iterator[bytes]:
    """What was answered, from a HAR file."""
    for entry in json.loads(har.read_bytes())["log"]["entries"]:
        content = entry["response"]["content"]
        text = content.get("text", "")
        yield base64.b64decode(text) if content.get("encoding") == "base64" else text.encode()


def test_no_request_is_a_fault_or_shows_what_is_another_devices(tmp_path: Path) -> None:
    har = tmp_path / "answers.har"
    seen_by_edge = f"{BLOB}: {json.dumps({'tlsClientAuth': certificate(VISITOR)})}"
    with deployed.run(tmp_path / "worker") as worker:
        assert worker.post(OTHER, CANARY).status == 201
        command = [PROGRAM, "run", str(SOURCE / "openapi.yaml"), f"--url=http://127.0.0.1:{worker.port}"]
        command += ["--header", seen_by_edge, f"--max-examples={EXAMPLES}", f"--report-har-path={har}"]
        command += [
            "--phases=examples,coverage,fuzzing",
            "--exclude-checks=positive_data_acceptance,negative_data_rejection",
        ]
        command += ["--suppress-health-check=all", "--generation-deterministic", "--no-color"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3600, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        kept, others = worker.count(VISITOR), worker.get(OTHER)

    answered = list(bodies(har))
    print(f"{len(answered)} requests, {kept} readings kept")
    assert len(answered) > 100
    assert kept > 0
    assert others == [CANARY]
    assert not [body for body in answered if b"canary" in body or OTHER.encode() in body]
    assert "exception" not in (tmp_path / "worker/workerd.log").read_text().lower()
