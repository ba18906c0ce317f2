"""Every route of the Worker's OpenAPI description, fuzzed by schemathesis: no fault, and nothing of another device.

What the description cannot say, as how far ahead a time may be, is refused although it fits: those two checks are out.
"""

import json
from collections import Counter
from pathlib import Path

from interop import deployed
from interop.deployed import BLOB, certificate
from interop.fuzzing import fuzz, never_well

VISITOR, OTHER = "a" * 64, "b" * 64
CANARY = {"temperature": "-18.0625", "time": "2026-11-23T09:14:22Z", "sensor": "canary"}


def test_no_request_is_a_fault_or_shows_what_is_another_devices(tmp_path: Path) -> None:
    seen_by_edge = f"{BLOB}: {json.dumps({'tlsClientAuth': certificate(VISITOR)})}"
    with deployed.run(tmp_path / "worker") as worker:
        assert worker.post(OTHER, CANARY).status == 201
        url, without = f"http://127.0.0.1:{worker.port}", ("positive_data_acceptance", "negative_data_rejection")
        exchanges = fuzz(tmp_path / "run", "openapi.yaml", url, f"--header={seen_by_edge}", without=without)
        kept, others = worker.count(VISITOR), worker.get(OTHER)

    print(f"{len(exchanges)} requests, {dict(Counter(each.status for each in exchanges))}, {kept} readings kept")
    assert not never_well(exchanges, "openapi.yaml")
    assert kept > 0
    assert others == [CANARY]
    assert not [each for each in exchanges if b"canary" in each.body or OTHER.encode() in each.body]
    assert "exception" not in (tmp_path / "worker/workerd.log").read_text().lower()
