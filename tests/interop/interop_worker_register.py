"""The Worker's register, each in a runtime of its own: who gets in, and what an entry that is wrong does."""

import json
from pathlib import Path

import pytest
from interop import deployed

DEVICE, OTHER, READER = "a" * 64, "b" * 64, "c" * 64
READING = {"temperature": 0, "time": "2026-11-23T09:14:22Z"}


def test_only_registered_certificates_get_in(tmp_path: Path) -> None:
    with deployed.run(tmp_path, ONLY_REGISTERED="yes", REGISTER={DEVICE: {}}) as worker:
        assert worker.post(DEVICE, READING).status == 201
        assert worker.get(DEVICE) == [READING]
        for who in (OTHER, "constructor"):
            assert (worker.post(who, READING).status, worker.ask(who).status) == (403, 403)


@pytest.mark.parametrize(
    "entry", ["x", [OTHER], {"sees": OTHER}, {"sees": [5]}, {"sees": ["sensor-001"]}, {"sees": {}}]
)
def test_an_entry_of_the_register_that_is_wrong_is_named_and_the_device_still_posts(
    tmp_path: Path, entry: object
) -> None:
    with deployed.run(tmp_path, REGISTER={DEVICE: entry}) as worker:
        answers = [worker.ask(DEVICE, path=path) for path in ("/temps", "/sensors")]

        assert worker.post(DEVICE, READING).status == 201
    assert [(each.status, each.text().startswith(f"REGISTER: the entry of {DEVICE}")) for each in answers] == [
        (503, True)
    ] * 2


def test_a_device_whose_store_fails_is_named_and_hides_no_other(tmp_path: Path) -> None:
    register = {READER: {"sees": [DEVICE, OTHER]}}
    with deployed.run(tmp_path, REGISTER=register) as worker:
        worker.post(DEVICE, READING)
    for file in (tmp_path / "objects").rglob("*.sqlite*"):
        if not file.name.startswith("metadata"):
            file.write_bytes(b"no database " * 999)
    with deployed.run(tmp_path, REGISTER=register) as worker:
        worker.post(OTHER, READING)
        listed, sensors = worker.ask(READER), worker.get(READER, path="/sensors")
        alone = worker.ask(DEVICE).status

    assert (listed.json(), listed.headers["Devices-Missing"]) == ([READING], "1")
    assert ([row["device"] for row in sensors["sensors"]], sensors["missing"]) == ([OTHER], [DEVICE])
    assert alone == 500  # nobody is told that it has no readings


def test_fingerprints_in_the_register_may_be_in_capitals(tmp_path: Path) -> None:
    with deployed.run(tmp_path, REGISTER={READER.upper(): {"sees": [DEVICE.upper()]}}) as worker:
        worker.post(DEVICE, READING)

        assert worker.get(READER) == [READING]


def test_the_register_can_be_a_kv_namespace(tmp_path: Path) -> None:
    with deployed.run(tmp_path, kv=True, ONLY_REGISTERED="yes") as worker:
        (worker.register / DEVICE).write_text("{}")
        (worker.register / READER).write_text(json.dumps({"sees": [DEVICE]}))

        assert worker.post(DEVICE, READING).status == 201
        assert worker.get(READER) == [READING]
        assert worker.post(OTHER, READING).status == 403

        (worker.register / OTHER).write_text("no JSON")
        assert (worker.post(OTHER, READING).status, OTHER in worker.ask(OTHER).text()) == (503, True)


def test_a_post_asks_the_register_only_where_it_decides(tmp_path: Path) -> None:
    with deployed.run(tmp_path, kv=True) as worker:
        (worker.register / DEVICE).write_text("no JSON")

        assert worker.post(DEVICE, READING).status == 201
        assert worker.ask(DEVICE).status == 503


def test_who_is_revoked_in_the_register_is_refused(tmp_path: Path) -> None:
    with deployed.run(tmp_path, kv=True, ONLY_REGISTERED="yes") as worker:
        (worker.register / DEVICE).write_text('{"revoked":true}')

        assert [answer.status for answer in (worker.post(DEVICE, READING), worker.ask(DEVICE))] == [403, 403]
        assert worker.ask(DEVICE).text() == "client certificate: revoked in the register\n"
