"""A store that was damaged, rebound or gone back in: the device finds to a pair that is whole and accepted."""

import shutil
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from world.boards import put_board
from world.crash import SWITCH, PowerCut
from world.disk import Disk
from world.enrollee import Api, Enrollee
from world.identities import authority
from world.server import answer, refuses_all_but, serving

from agent.certificate import parse
from agent.status_file import StatusFile


def test_a_disk_that_fills_up_while_the_issuer_is_asked_loses_no_certificate(disk: Disk) -> None:
    device, api = Enrollee(disk.path / "device"), Api()

    def sign(request: bytes) -> bytes:
        disk.fill()
        return authority().sign(request)

    api.sign = sign
    with device.asking(api):
        assert device("enroll").code == 0
    assert state(device) == "active"


def test_a_reset_on_a_read_only_etc_leaves_links_that_lead_nowhere(disk: Disk, tmp_path: Path) -> None:
    device = Enrollee(tmp_path / "device")
    places = disk.path / "sensor.pem", disk.path / "sensor-key.pem"
    for place, target in zip(places, ("cert.pem", "key.pem"), strict=True):
        place.symlink_to(device.store / "current" / target)
    disk.remount("ro")
    with device.asking(Api()):
        text = device.config.read_text()
        for before, place in zip((device.cert, device.key), places, strict=True):
            text = text.replace(str(before), str(place))
        device.config.write_text(text)
        assert device("enroll").code == 0
        done = device("identity", "reset", as_json=False)
        assert (done.code, places[0].exists(), places[0].is_symlink()) == (0, False, True)
        assert [path.name for path in device.store.iterdir()] == ["lock"]
        assert device("enroll").code == 0
        assert places[0].exists()


@pytest.fixture
def device(tmp_path: Path) -> Enrollee:
    """A board with two pairs, the second in force."""
    made = Enrollee(tmp_path / "device")
    put_board(made.root, serial="1000abcd", card="aaaa", machine="0" * 32)
    with made.asking(Api()):
        assert made("enroll").code == 0
        assert made("enroll", "--force").code == 0
    made.token.unlink()
    return made


def serial(device: Enrollee, generation: str = "") -> str:
    """Of the certificate in force, or of that generation."""
    file = device.store / "gen" / generation / "cert.pem" if generation else device.cert
    return parse(file.read_bytes()).serial


def is_of(wanted: str) -> Callable[[bytes], bool]:
    """Whether a certificate (DER) has that serial number."""
    return lambda shown: parse(ssl.DER_cert_to_PEM_cert(shown).encode()).serial == wanted


def state(device: Enrollee) -> str:
    return str(device("identity", "verify", "--offline").answer["state"])


Damage = Callable[[Path], object]
DAMAGES: dict[str, Damage] = {
    "empty certificate": lambda store: (store / "gen/000002/cert.pem").write_bytes(b""),
    "no certificate": lambda store: (store / "gen/000002/cert.pem").unlink(),
    "empty key": lambda store: (store / "gen/000002/key.pem").write_bytes(b""),
    "no key": lambda store: (store / "gen/000002/key.pem").unlink(),
    "no directory": lambda store: shutil.rmtree(store / "gen/000002"),
}


@pytest.mark.parametrize("command", [("renew",), ("enroll",), ("identity", "rollback")])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_pair_that_is_damaged_or_gone_gives_way_to_the_one_before(
    device: Enrollee, damage: str, command: tuple[str, ...]
) -> None:
    DAMAGES[damage](device.store)
    assert device(*command).code == 0
    assert (state(device), serial(device)) == ("active", serial(device, "000001"))


@pytest.mark.parametrize("command", [("renew",), ("enroll",)])
def test_without_current_the_latest_pair_that_is_whole_is_in_force_again(
    device: Enrollee, command: tuple[str, ...]
) -> None:
    (device.store / "current").unlink()
    done = device(*command)
    assert (done.code, "000002 is in force again" in done.said) == (0, True)
    assert (state(device), serial(device)) == ("active", serial(device, "000002"))


def test_one_that_was_gone_back_from_is_not_taken_up_for_a_damaged_one(device: Enrollee) -> None:
    assert device("identity", "rollback").code == 0
    (device.store / "gen/000001/cert.pem").write_bytes(b"")
    assert device("renew").code == 78
    assert (device.store / "current").readlink().name == "000001"


def test_a_rollback_asks_the_shield_and_stays_where_the_one_before_was_revoked(
    device: Enrollee, tmp_path: Path
) -> None:
    with serving(tmp_path, answer(403, b'{"error": "client_certificate_required"}')) as shield:
        device.configure(shield=shield.url)
        done = device("identity", "rollback")
    assert (done.code, "no earlier pair that the shield takes" in done.said) == (78, True)
    assert serial(device) == serial(device, "000002")


def test_a_device_that_went_back_to_a_revoked_pair_finds_forward_by_itself(device: Enrollee, tmp_path: Path) -> None:
    forward = serial(device)
    assert device("identity", "rollback").code == 0
    assert serial(device) != forward

    StatusFile(device.root).write({"uplink": {"state": "hold"}})
    with serving(tmp_path, refuses_all_but(is_of(forward)), client_ca=True) as shield:
        device.configure(shield=shield.url)
        assert device("renew").code == 0
    assert (state(device), serial(device)) == ("active", forward)


def test_a_pair_of_somebody_else_is_never_replaced_though_the_shield_refuses_it(
    device: Enrollee, tmp_path: Path
) -> None:
    for place in (device.cert, device.key):
        text = place.read_bytes()
        place.unlink()
        place.write_bytes(text)
    StatusFile(device.root).write({"uplink": {"state": "hold"}})
    with serving(tmp_path, refuses_all_but(is_of(serial(device, "000001"))), client_ca=True) as shield:
        device.configure(shield=shield.url)
        assert device("renew").code == 0
    assert (device.cert.is_symlink(), device.key.is_symlink()) == (False, False)


def test_an_id_that_changes_while_a_request_waits_keeps_its_key(tmp_path: Path) -> None:
    device, ids = Enrollee(tmp_path / "device"), {"serial": "1000abcd", "card": "aaaa"}
    put_board(device.root, machine="a" * 32, **ids)
    with device.asking(Api(script=[answer(202, b'{"result": {}}')] * 2)):
        assert device("enroll").code == 75
        request = device.pending_request()
        put_board(device.root, machine="b" * 32, **ids)
        assert device("enroll").code == 75
        assert device.pending_request() == request
        assert device("enroll").code == 0
    assert state(device) == "active"


def test_the_request_of_a_copied_card_is_made_anew(tmp_path: Path) -> None:
    device = Enrollee(tmp_path / "device")
    put_board(device.root, serial="1000abcd", card="aaaa", machine="a" * 32)
    assert device("enroll").code == 75
    request = device.pending_request()
    put_board(device.root, serial="1000ef01", card="bbbb", machine="a" * 32)
    assert device("enroll").code == 75
    assert device.pending_request() != request


def test_a_board_that_changes_again_and_again_uses_up_no_earlier_pair(device: Enrollee) -> None:
    first = serial(device, "000001")
    for letter in "abcd":
        put_board(device.root, serial="1000abcd", card="aaaa", machine=letter * 32)
        assert "another machine id than before" in device("renew").said
    assert "another" not in device("identity", "verify", "--offline").said
    assert device("identity", "rollback").code == 0
    assert serial(device) == first


def test_binding_anew_may_be_cut_off_anywhere(device: Enrollee) -> None:
    put_board(device.root, serial="1000abcd", card="aaaa", machine="a" * 32)
    for at in range(1, 100):
        try:
            with SWITCH.cut(device.store, at=at):
                device("renew")
        except PowerCut:
            assert state(device) == "active", at
            continue
        break
    assert at > 5
    assert "another" not in device("identity", "verify", "--offline").said
