"""The Worker's settings, each in a runtime of its own: what is kept and for how long, who is who."""

import json
import threading
import time
from pathlib import Path

import pytest
from interop import deployed
from interop.deployed import certificate
from interop.edges import until

DEVICE, OTHER, READER = "a" * 64, "b" * 64, "c" * 64
READING = {"temperature": 0, "time": "2026-11-23T09:14:22Z"}


def batch(start: int, count: int) -> list[dict[str, object]]:
    """Items whose temperatures are the numbers from `start` on."""
    return [{**READING, "temperature": n, "key": f"rpi-{n}"} for n in range(start, start + count)]


def test_readings_survive_the_runtime_that_is_killed(tmp_path: Path) -> None:
    with deployed.run(tmp_path) as worker:
        assert worker.post(DEVICE, READING, Idempotency_Key='"rpi-0"').status == 201

    with deployed.run(tmp_path) as worker:
        assert worker.post(DEVICE, READING, Idempotency_Key='"rpi-0"').status == 201
        assert worker.get(DEVICE) == [READING]


def test_history_is_bounded_by_number_and_the_newest_to_arrive_stay(tmp_path: Path) -> None:
    with deployed.run(tmp_path, KEEP_READINGS="300") as worker:
        for start in range(0, 1920, 128):
            worker.post(DEVICE, batch(start, 128))
        kept = worker.get(DEVICE, "?limit=1000")

    assert 300 - 128 <= len(kept) <= 300
    assert sorted(each["temperature"] for each in kept) == list(range(1920 - len(kept), 1920))


def test_what_has_just_been_acknowledged_is_there_however_small_the_bounds(tmp_path: Path) -> None:
    with deployed.run(tmp_path, KEEP_READINGS="0", KEEP_HOURS="0") as worker:
        for number in range(3):
            worker.post(DEVICE, {**READING, "temperature": number})

            assert worker.get(DEVICE)[0]["temperature"] == number
        for start in (10, 510):
            worker.post(DEVICE, batch(start, 500))

            assert {each["temperature"] for each in worker.get(DEVICE, "?limit=1000")} >= set(range(start, start + 500))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"FORGET_DAYS": ""}, 'FORGET_DAYS: a number is needed, not ""'),
        ({"KEEP_HOURS": " "}, 'KEEP_HOURS: a number is needed, not " "'),
        ({"KEEP_READINGS": "-1"}, "KEEP_READINGS: -1 is less than 0"),
        ({"MAX_CELSIUS": ""}, 'MAX_CELSIUS: a number is needed, not ""'),
        ({"MIN_CELSIUS": "warm"}, 'MIN_CELSIUS: a number is needed, not "warm"'),
        ({"MIN_CELSIUS": "50", "MAX_CELSIUS": "40"}, "MIN_CELSIUS: it is above MAX_CELSIUS"),
        ({"KEEP_HOURS": "48", "FORGET_DAYS": "1"}, "FORGET_DAYS: more than KEEP_HOURS is needed"),
        ({"DEVICE_IS": "name"}, "DEVICE_IS: fingerprint or subject, not name"),
        ({"ONLY_REGISTERED": "Yes"}, 'ONLY_REGISTERED: "yes" or "no" is needed, not "Yes"'),
        ({"BY_ADDRESS": ""}, 'BY_ADDRESS: "yes" or "no" is needed, not ""'),
    ],
)
def test_a_setting_that_is_wrong_is_named_and_nothing_is_taken(
    tmp_path: Path, settings: dict[str, object], says: str
) -> None:
    with deployed.run(tmp_path, kv=False, **settings) as worker:
        for answer in (worker.post(DEVICE, READING), worker.ask(DEVICE), worker.ask(DEVICE, path="/")):
            assert (answer.status, answer.text(), answer.headers["Retry-After"]) == (503, f"{says}\n", "60")


def test_history_is_bounded_by_the_time_since_arrival(tmp_path: Path) -> None:
    with deployed.run(tmp_path, KEEP_HOURS=str(0.8 / 3600)) as worker:
        worker.post(DEVICE, batch(0, 10))
        threading.Event().wait(1.0)
        worker.post(DEVICE, batch(10, 2))

        assert [each["temperature"] for each in worker.get(DEVICE)] == [11, 10]


def test_a_device_of_which_nothing_comes_is_forgotten(tmp_path: Path) -> None:
    with deployed.run(tmp_path, FORGET_DAYS=str(1.0 / 86400), KEEP_HOURS=str(1.0 / 3600)) as worker:
        began = time.monotonic()
        worker.post(DEVICE, batch(0, 10))
        assert worker.count(DEVICE) == 10
        until(lambda: worker.count(DEVICE) == 0, "nothing is forgotten")

        assert time.monotonic() - began > 0.9
        assert worker.post(DEVICE, READING).status == 201
        assert worker.count(DEVICE) == 1


def test_a_device_can_be_its_certificates_subject_and_keeps_its_history_over_a_renewal(tmp_path: Path) -> None:
    old, new, foreign = (
        certificate(fingerprint, certSubjectDNRFC2253=f"CN={name},O=Example")
        for fingerprint, name in ((DEVICE, "sensor-001"), (OTHER, "sensor-001"), ("d" * 64, "sensor-002"))
    )
    register = {READER: {"sees": ["CN=sensor-001,O=Example"]}}
    with deployed.run(tmp_path, DEVICE_IS="subject", REGISTER=register) as worker:
        for who in (old, new):
            assert worker.post(who, READING, Idempotency_Key='"rpi-1"').status == 201

        assert (worker.get(old), worker.get(new), worker.get(foreign)) == ([READING], [READING], [])
        assert worker.get(certificate(READER, certSubjectDNRFC2253="CN=phone")) == [READING]
        assert worker.ask(DEVICE).status == 403  # the edge says no subject


@pytest.mark.parametrize(
    "bad", [certificate(OTHER, certVerified="FAILED:expired"), certificate(OTHER, certRevoked="1")]
)
def test_a_source_address_is_a_device_where_the_operator_allows_it(tmp_path: Path, bad: dict[str, str]) -> None:
    nobody = {"certPresented": "0"}
    with deployed.run(tmp_path, BY_ADDRESS="yes") as worker:
        one, two = ({"CF-Connecting-IP": address} for address in ("192.0.2.1", "192.0.2.2"))
        body = json.dumps(READING).encode()

        assert worker.ask(nobody, "POST", body=body, headers=one).status == 201
        assert worker.ask(nobody, headers=one).json() == [READING]
        assert worker.ask(nobody, headers=two).json() == []
        assert worker.ask(DEVICE, headers=one).json() == []  # who shows a certificate is that certificate
        assert worker.ask(bad, headers=one).status == 403
