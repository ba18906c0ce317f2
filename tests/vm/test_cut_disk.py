"""The disk of the virtual machine, and the reckoning after a cut: what must be there is told apart from what may."""

import random
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from vm.cuts import Cut, missing
from vm.disk import Disk
from vm.nbd import ANSWER_MAGIC, FLUSH, GO, OPTION_MAGIC, READ, REQUEST_MAGIC, WRITE, DiskServer
from vm.receipts import receipts
from vm.reports import Report, certain, stored
from vm.usbip import exactly


def test_what_was_flushed_survives_every_cut_and_of_the_rest_anything_may() -> None:
    outcomes = set()
    for seed in range(40):
        disk = Disk(4096)
        disk.write(0, b"a" * 1024)
        disk.flush()
        disk.write(512, b"b" * 1024)
        assert disk.read(512, 1) == b"b"
        assert disk.cut(random.Random(seed))[0] == 2
        assert disk.read(0, 512) == b"a" * 512
        outcomes.add(disk.read(512, 1) + disk.read(1024, 1))
    assert outcomes == {b"a\0", b"b\0", b"ab", b"bb"}


def test_a_disk_that_lies_keeps_no_flush() -> None:
    left = set()
    for seed in range(20):
        disk = Disk(4096, lies=True)
        disk.write(0, b"a" * 512)
        disk.flush()
        disk.cut(random.Random(seed))
        left.add(disk.read(0, 1))
    assert left == {b"a", b"\0"}


def test_a_client_reads_what_it_wrote_and_after_the_power_failed_nothing_is_answered(tmp_path: Path) -> None:
    disk = Disk(8192)
    server = DiskServer(disk, tmp_path / "disk")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "disk"))
        assert exactly(client, 18)[:8] == b"NBDMAGIC"
        client.sendall(struct.pack(">IQIIIHx", 3, OPTION_MAGIC, GO, 7, 0, 0))
        assert struct.unpack(">QIIIHQH", exactly(client, 32))[2:] == (3, 12, 0, 8192, 5)
        exactly(client, 20)

        def ask(kind: int, offset: int, length: int, data: bytes = b"", answer: int = 0) -> bytes:
            client.sendall(struct.pack(">IHHQQI", REQUEST_MAGIC, 0, kind, 77, offset, length) + data)
            assert struct.unpack(">IIQ", exactly(client, 16)) == (ANSWER_MAGIC, 0, 77)
            return exactly(client, answer)

        ask(WRITE, 512, 4, b"here")
        assert ask(READ, 510, 8, answer=8) == b"\0\0here\0\0"
        assert disk.pending
        ask(FLUSH, 0, 0)
        assert not disk.pending
        server.fails_at = 1
        client.sendall(struct.pack(">IHHQQI", REQUEST_MAGIC, 0, WRITE, 78, 0, 4) + b"lost")
        assert server.failed.wait(5)
        client.sendall(struct.pack(">IHHQQI", REQUEST_MAGIC, 0, FLUSH, 79, 0, 0))
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert disk.pending == [(0, b"lost")]
    server.close()


def status(pending: int, acknowledged: int, *times: str, trouble: str = "ok") -> dict[str, Any]:
    return {
        "pid": 1,
        "state": "healthy",
        "spool": {"pending": pending, "set_aside": 0, "dropped": 0, "state": trouble},
        "uplink": {"state": "online", "acknowledged": acknowledged},
        "sensors": [{"sensor": "room", "time": time, "celsius": 20.0625, "error": None} for time in times],
    }


def test_a_reading_is_certain_once_a_later_one_was_seen() -> None:
    reports = [Report.of(status(n, 0, f"2026-11-25T04:00:0{n}Z")) for n in (1, 2, 3)]
    assert certain(reports) == {("room", f"2026-11-25T04:00:0{n}Z"): 20.0625 for n in (1, 2)}
    assert stored(reports) == 3


@pytest.mark.parametrize(
    ("pending", "acknowledged", "trouble", "owed"), [(4, 0, "ok", 4), (4, 3, "ok", 6), (4, 0, "full", 0)]
)
def test_what_is_owed_counts_no_reading_of_a_disk_that_refuses(
    pending: int, acknowledged: int, trouble: str, owed: int
) -> None:
    assert stored([Report.of(status(pending, acknowledged, trouble=trouble))]) == owed


def row(second: int, celsius: str = "") -> dict[str, Any]:
    celsius = celsius or str(20 + second / 8)
    body = f'{{"temperature": "{celsius}", "time": "2026-11-25T04:00:0{second}Z", "sensor": "room"}}'
    return {"stored": True, "time": 0.0, "idempotency_key": f"guest-{second}", "body": body}


def cut(count: int) -> Cut:
    places = {("room", f"2026-11-25T04:00:0{n}Z"): 20 + n / 8 for n in (1, 2)}
    at = 1_795_579_203.5  # 2026-11-25T04:00:03.5Z
    return Cut("sampling", at - 3, at, known=0, stored=count, certain=places, at_stake=0, survived=0)


def test_a_lost_reading_is_missed_by_count_and_by_value_and_later_ones_do_not_stand_in_for_it() -> None:
    everything = receipts([row(1), row(2), row(3), row(9)])
    assert missing(cut(3), everything) == (0, [])
    assert missing(cut(3), receipts([row(1), row(2), row(9)])) == (1, [])
    assert missing(cut(3), receipts([row(1), row(3), row(9)])) == (1, [("room", "2026-11-25T04:00:02Z")])
    assert missing(cut(3), receipts([row(1), row(2, "85"), row(3)])) == (0, [("room", "2026-11-25T04:00:02Z")])


def test_a_reading_that_was_refused_has_not_arrived() -> None:
    assert receipts([row(1) | {"stored": False}]) == []
