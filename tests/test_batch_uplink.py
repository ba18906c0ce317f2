"""Batches over real TLS: what is on the wire, what an answer amounts to, and a day's backlog at the development shield."""

import gzip
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from world.identities import authority
from world.server import Step, answer, close, raw, serving
from world.visitors import pair

from agent import reading
from agent.delivery import Answer, Backoff, Offer, Verdict, item
from agent.devshield.authority import open_or_create
from agent.devshield.shield import Api, Setup, Shield
from agent.flush import Flush, Plan
from agent.reading import Reading
from agent.spool import Limits, Spool, Spooled
from agent.uplink import Target, Uplink

BODY = b'{"temperature": "21.437", "time": "2026-11-22T12:00:00Z"}'
ITEMS = [item(BODY, f"rpi-1-{seq}") for seq in (7, 8)]
BOTH = b'{"results": [{"status": 201}, {"status": 400, "error": "time: no"}]}'
START = 1_795_000_000


def posted(url: str, *, zipped: bool = False) -> Answer:
    line = Uplink(Target(url, str(authority().certificate_file), 5.0), None)
    try:
        return line.post_batch(ITEMS, gzip=zipped)
    finally:
        line.close()


@pytest.mark.parametrize(
    ("step", "verdict", "status", "told"),
    [
        (answer(207, BOTH), Verdict.ACK, 207, [Verdict.ACK, Verdict.REJECT]),
        (answer(207, b'{"results": [{"status": 201}]}'), Verdict.MISDIRECTED, 207, []),
        (answer(207, b"<html>"), Verdict.MISDIRECTED, 207, []),
        (answer(201), Verdict.MISDIRECTED, 201, []),
        (answer(200, BOTH), Verdict.MISDIRECTED, 200, []),
        (answer(400, b"Unable to parse"), Verdict.REJECT, 400, []),
        (answer(403, b"<html>", "text/html"), Verdict.HOLD, 403, []),
        (answer(503), Verdict.RETRY, 503, []),
        (close, Verdict.RETRY, None, []),
        (raw(b"HTTP/1.1 207 Multi-Status\r\nContent-Length: 999\r\n\r\n" + BOTH), Verdict.RETRY, None, []),
    ],
)
def test_answer_to_a_batch_is_judged(
    tmp_path: Path, step: Step, verdict: Verdict, status: int | None, told: list[Verdict]
) -> None:
    with serving(tmp_path, step) as server:
        got = posted(server.url)
    assert (got.verdict, got.status, [each.verdict for each in got.results]) == (verdict, status, told)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (answer(201), Offer()),
        (answer(201, sensor_batch="500"), Offer(500)),
        (answer(201, sensor_batch="500", accept_encoding="gzip"), Offer(500, gzip=True)),
        (answer(503, sensor_batch="500"), Offer(500)),
        (answer(503), None),
        (answer(403, b"<html>", "text/html", accept_encoding="gzip"), None),
        (close, None),
    ],
)
def test_announcement_is_in_the_headers(tmp_path: Path, step: Step, expected: Offer | None) -> None:
    with serving(tmp_path, step) as server:
        line = Uplink(Target(server.url, str(authority().certificate_file), 5.0), None)
        got = line.post(BODY, key="rpi-1-7")
        line.close()
    assert got.offer == expected


@pytest.mark.parametrize("zipped", [False, True])
def test_batch_on_the_wire_is_an_array_of_items_and_has_no_key_of_its_own(tmp_path: Path, zipped: bool) -> None:
    with serving(tmp_path, answer(207, BOTH), answer(207, BOTH)) as server:
        posted(server.url, zipped=zipped)
        posted(server.url, zipped=zipped)
    [seen, again] = server.seen
    body = gzip.decompress(seen.body) if zipped else seen.body
    assert json.loads(body) == [json.loads(BODY) | {"key": f"rpi-1-{seq}"} for seq in (7, 8)]
    assert (seen.headers["content-type"], seen.headers.get("content-encoding")) == (
        "application/json",
        "gzip" if zipped else None,
    )
    assert "idempotency-key" not in seen.headers
    assert seen.body == again.body


class Site:
    """A development shield, a spool with a backlog of one sensor, and a clock that the waits move on."""

    def __init__(self, directory: Path, *, readings: int, api: Api) -> None:
        self.shield = Shield(Setup(directory / "shield", api=api))
        made = pair(directory, "p256", open_or_create(directory / "shield"))
        target = Target(self.shield.url, str(self.shield.ca_file), 20.0)
        self.spool = Spool(directory / "spool.db", limits=Limits(max_readings=20_000))
        self.spool.append([Reading("freezer", n % 9000, START + 60 * n) for n in range(readings)])
        files = (str(made[0]), str(made[1]))
        plan = Plan(lambda shown: Uplink(target, shown), lambda: files, body_of, "device-{}".format, Backoff())
        self.waited = 0.0
        self.flush = Flush(self.spool, plan, monotonic=self.monotonic, wall=time.time, jitter=lambda: 0.5)

    def monotonic(self) -> float:
        return time.monotonic() + self.waited

    def drain(self) -> int:
        """Step until nothing is pending; gives how many requests that took."""
        requests = 0
        while self.spool.counts().pending:
            again, requests = self.flush.step(), requests + 1
            self.waited += max(0.0, again - self.monotonic()) if again != math.inf else 0.0
        return requests

    @property
    def stored(self) -> list[str]:
        """The times of what the shield has, in the order of their arrival."""
        [file] = (self.shield.ca_file.parent / "kv").glob("data-*.json")
        return [each["time"] for each in json.loads(file.read_bytes())["temperatures"]]

    def close(self) -> None:
        self.flush.close()
        self.spool.close()
        self.shield.close()


def body_of(spooled: Spooled) -> bytes:
    return reading.body(spooled.reading, temperature_as="string")


@pytest.fixture
def sites() -> Iterator[list[Site]]:
    made: list[Site] = []
    yield made
    for site in made:
        site.close()


def test_day_of_backlog_leaves_in_four_requests_and_as_many_seconds(tmp_path: Path, sites: list[Site]) -> None:
    sites.append(site := Site(tmp_path, readings=1440, api="extended"))
    assert (site.drain(), site.spool.counts().pending) == (4, 0)  # one alone, then 500, 500 and 439
    assert site.stored == [reading.utc_text(START + 60 * n) for n in range(1440)]
    assert site.waited < 4 * 1.05


def test_tutorials_shield_gets_single_readings(tmp_path: Path, sites: list[Site]) -> None:
    sites.append(site := Site(tmp_path, readings=9, api="tutorial"))
    assert (site.drain(), len(site.stored)) == (9, 9)


def test_lost_answer_to_a_batch_leaves_no_duplicate(tmp_path: Path, sites: list[Site]) -> None:
    sites.append(site := Site(tmp_path, readings=101, api="extended"))
    site.flush.step()
    site.shield.faults.put("shield", ["lost*2"])
    site.drain()
    assert site.stored == [reading.utc_text(START + 60 * n) for n in range(101)]
    assert site.flush.delivered.ambiguous > 100


def test_shield_that_is_replaced_by_the_tutorials_gets_single_readings_again(tmp_path: Path, sites: list[Site]) -> None:
    sites.append(site := Site(tmp_path, readings=9, api="extended"))
    site.flush.step()
    site.shield.close()
    site.shield = Shield(Setup(tmp_path / "shield", port=site.shield.port))
    site.drain()
    assert (site.spool.counts().pending, site.spool.counts().set_aside) == (0, 0)
    # to whom gzip is no JSON, and what is no JSON a 500
    assert [row["status"] for row in site.shield.requests()[1:]] == [500, 500] + [201] * 8
