"""`identity bundle --name`: the key waits beside the bundle, and one command after another comes to one certificate."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
from world.enrollee import Api, Done, Enrollee
from world.server import Server, answer

from agent import pem


def bundled(device: Enrollee, *words: str) -> Done:
    """`identity bundle` of a new reader."""
    (device.directory / "password").write_text("correct horse")
    words = (str(device.directory / "reader.p12"), f"--password-file={device.directory}/password", *words)
    return device("identity", "bundle", *words)


def test_a_reader_that_waits_for_approval_gets_the_key_that_was_approved(tmp_path: Path) -> None:
    device = Enrollee(tmp_path / "device")
    with device.asking(Api(script=[answer(202, b'{"result": {}}')])) as server:
        done = bundled(device, "--name=anna")
        assert (done.code, "reader.p12.key" in done.said) == (75, True)
        assert (device.directory / "reader.p12.key").stat().st_mode & 0o777 == 0o600
        assert bundled(device, "--name=anna").code == 0
    first, second = (json.loads(seen.body)["csr"].encode() for seen in server.seen if seen.method == "POST")
    assert pem.same_key(first, second)
    assert (device.directory / "reader.p12").stat().st_size
    assert not (device.directory / "reader.p12.key").exists()


def test_a_reader_whose_answer_was_lost_costs_one_certificate(tmp_path: Path) -> None:
    device, api, unlisted = Enrollee(tmp_path / "device"), Api(), list[dict[str, str]]()

    def lost(sock: socket.socket, server: Server) -> bool:
        api.lost(sock, server)
        unlisted.append(api.issued.pop())
        return False

    api.script = [lost]
    with device.asking(api):
        assert bundled(device, "--name=anna").code == 75
        api.issued += unlisted
        assert bundled(device, "--name=anna").code == 0
    assert len(api.issued) == 1


@pytest.mark.parametrize("again", [["--name=bert"], ["--name=anna", "--rsa"]])
def test_the_key_of_another_reader_is_not_taken(tmp_path: Path, again: list[str]) -> None:
    device = Enrollee(tmp_path / "device")
    with device.asking(Api(script=[answer(202, b'{"result": {}}')])) as server:
        assert bundled(device, "--name=anna").code == 75
        assert bundled(device, *again).code == 0
    first, second = (json.loads(seen.body)["csr"].encode() for seen in server.seen if seen.method == "POST")
    assert not pem.same_key(first, second)


@pytest.mark.parametrize(
    "planted",
    [
        pytest.param("chown 65534 $0", marks=pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")),
        "chmod 666 $0",
        "mv $0 $0.theirs; ln -s $0.theirs $0",
        "rm $0; mkfifo $0",
        "rm $0; mkdir $0",
    ],
)
def test_a_key_that_somebody_else_could_have_planted_is_not_used(tmp_path: Path, planted: str) -> None:
    device = Enrollee(tmp_path / "device")
    key = device.directory / "reader.p12.key"
    with device.asking(Api(script=[answer(202, b'{"result": {}}')])) as server:
        assert bundled(device, "--name=anna").code == 75
        subprocess.run(["sh", "-c", planted, str(key)], check=True)
        done = bundled(device, "--name=anna")
    assert (done.code, f"{key}: is no key that this user left there" in done.said) == (73, True)
    assert len([seen for seen in server.seen if seen.method == "POST"]) == 1
    assert key.exists()


@pytest.mark.parametrize("beside", ["reader.p12.key", "reader.p12"])
def test_pem_is_not_written_where_the_bundle_or_its_key_is(tmp_path: Path, beside: str) -> None:
    device = Enrollee(tmp_path / "device")
    with device.asking(Api()) as server:
        done = bundled(device, "--name=anna", f"--pem={device.directory}/../device/{beside}")
    assert (done.code, "give another name" in done.said, server.seen) == (78, True, [])


def test_a_refused_reader_leaves_no_key(tmp_path: Path) -> None:
    device = Enrollee(tmp_path / "device")
    with device.asking(Api(script=[answer(403, b"{}")]), zone_id=""):
        assert bundled(device, "--name=anna").code == 77
    assert not list(device.directory.glob("reader*"))
