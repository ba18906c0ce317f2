"""How image-check goes through a tree: as a user who may, by the agent's own rules, and by the image's own links."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from world.boards import put_board
from world.enrollee import own_log
from world.images import CLEAN, check, clean_image, linked, put, reset
from world.users import as_nobody, let_in

from agent.cli import main

NAMED = '[device]\nname = "sensor-001"\n'
STORE = "/var/lib/sensor-agent-identity"


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """The commands run in this process, and set its log up."""
    with own_log():
        yield


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An image as it should be."""
    return clean_image(tmp_path / "image")


@pytest.mark.parametrize(
    ("name", "closed"),
    [
        ("var/lib/sensor-agent-identity/gen/000001/key.pem", "var/lib/sensor-agent-identity"),
        ("var/lib/sensor-agent/spool.db", "var/lib/sensor-agent"),
        ("etc/ssl/private/sensor-key.pem", "etc/ssl/private"),
        ("etc/machine-id", "etc/machine-id"),
        ("etc/sensor-agent/conf.d/name.toml", "etc/sensor-agent/conf.d"),
        ("boot/firmware/user-data", "boot/firmware"),
        ("var/lib/cloud/seed/nocloud/user-data", "var/lib/cloud/seed/nocloud"),
        ("var/lib/cloud/seed/nocloud/user-data", "var/lib/cloud"),
    ],
)
def test_what_this_user_may_not_look_into_is_not_called_clean(
    tree: Path, capsys: pytest.CaptureFixture[str], name: str, closed: str
) -> None:
    put(tree, name, f"{NAMED}# /etc/sensor-agent/enroll-token")
    assert check(tree, capsys)[0] == 1
    let_in(tree)
    (tree / closed).chmod(0o700)
    with as_nobody():
        code, said = check(tree, capsys)
    assert (code, "clean\n" in said) == (78, False)
    assert f"{tree / closed}" in said
    assert "cannot be looked into: Permission denied" in said
    assert "next: the same with sudo" in said


@pytest.mark.parametrize("name", ["etc/sensor-agent/config.toml", "etc/sensor-agent/conf.d/50-site.toml"])
def test_a_configuration_behind_a_link_is_the_images_own(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    elsewhere = tmp_path / "data/site.toml"
    put(tree, str(elsewhere).lstrip("/"), CLEAN + NAMED)
    linked(tree, name, str(elsewhere))
    assert "called sensor-001" in check(tree, capsys)[1]
    put(tmp_path, "data/site.toml", CLEAN + NAMED.replace("001", "002"))  # the builder's own
    assert "called sensor-001" in check(tree, capsys)[1]


def test_drop_ins_behind_a_link_are_the_images_own(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, "data/50-site.toml", NAMED)
    linked(tree, "etc/sensor-agent/conf.d", str(tmp_path / "data"))
    assert check(tree, capsys)[0] == 0
    put(tree, f"{str(tmp_path).lstrip('/')}/data/50-site.toml", NAMED)
    assert "called sensor-001" in check(tree, capsys)[1]


@pytest.mark.parametrize("name", ["etc/machine-id", "var/lib/dbus/machine-id"])
def test_a_machine_id_behind_a_link_is_named_once_and_emptied(
    tree: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    target = put(tree, "data/machine-id", "a" * 32)
    linked(tree, name, "/data/machine-id")
    code, said = check(tree, capsys)
    assert (code, said.count("FAIL"), f"machine id: /{name}" in said) == (1, 1, True)
    reset(tree, capsys)
    assert check(tree, capsys)[0] == 0
    assert name != "etc/machine-id" or target.read_text() == ""


def test_a_machine_id_that_dbus_links_to_is_named_once(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_board(tree, machine="a" * 32)
    linked(tree, "var/lib/dbus/machine-id", "/etc/machine-id")
    assert [line for line in check(tree, capsys)[1].splitlines() if "FAIL" in line] == [
        "FAIL  machine id: /etc/machine-id: every device would get the same default name"
    ]


@pytest.mark.parametrize("name", ["spool.db.damaged-1", "spool.db.new", "spool.db.damaged-12-wal"])
def test_each_file_of_a_spool_is_named_and_removed(tree: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    file = put(tree, f"var/lib/sensor-agent/{name}")
    beside = put(tree, "var/lib/sensor-agent/spool.dbase")
    assert f"FAIL  spool: /var/lib/sensor-agent/{name}" in check(tree, capsys)[1]
    reset(tree, capsys)
    assert check(tree, capsys)[0] == 0
    assert (file.exists(), beside.exists()) == (False, True)


@pytest.mark.parametrize(
    "name",
    ["boot/firmware/user-data", "var/lib/cloud/seed/nocloud/user-data", "var/lib/cloud/instances/a/user-data.txt"],
)
def test_a_token_in_cloud_inits_user_data_is_named_and_left_to_its_owner(
    tree: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    file = put(tree, name, "write_files:\n  - path: /etc/sensor-agent/enroll-token\n    content: secret\n")
    code, said = check(tree, capsys)
    assert (code, f"FAIL  token: /{name}" in said, "secret" in said) == (1, True, False)
    assert said.endswith(f"  next: take the token out of {file}\n")
    reset(tree, capsys)
    assert file.exists()
    file.write_text("#cloud-config\n")
    assert check(tree, capsys)[0] == 0


@pytest.mark.parametrize("link", ["var/lib/cloud", "var/lib/cloud/seed", "var/lib/cloud/seed/nocloud/user-data"])
def test_a_token_in_user_data_behind_a_link_is_the_images_own(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], link: str
) -> None:
    data, token = tmp_path / "data", "/etc/sensor-agent/enroll-token"
    name = "var/lib/cloud/seed/nocloud/user-data"
    linked(tree, link, str(data))
    put(tmp_path, f"data{name[len(link) :]}", token)  # the builder's own
    assert check(tree, capsys)[0] == 0
    file = put(tree, f"{data}{name[len(link) :]}".lstrip("/"), token)
    code, said = check(tree, capsys)
    assert (code, f"FAIL  token: /{name}" in said) == (1, True)
    assert said.endswith(f"  next: take the token out of {file}\n")


def test_what_the_agent_takes_for_a_configuration_is_taken(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "etc/sensor-agent/config.toml").write_text("\ufeff" + CLEAN)
    put(tree, "etc/sensor-agent/conf.d/.old.toml", NAMED)
    assert check(tree, capsys)[0] == 0


@pytest.mark.parametrize("text", [b"a = " + b"[" * 100_000, b"a = \xff"])
def test_a_configuration_that_cannot_be_read_is_an_error_of_the_image(
    tree: Path, capsys: pytest.CaptureFixture[str], text: bytes
) -> None:
    file = tree / "etc/sensor-agent/config.toml"
    file.write_bytes(text)
    code, said = check(tree, capsys)
    assert (code, f"next: mend {file}" in said, "Traceback" in said) == (78, True, False)


@pytest.mark.parametrize("name", ["etc/ssl/certs/sensor.pem", "etc/ssl/private/sensor-key.pem"])
def test_one_link_without_the_other_would_leave_a_read_only_etc_without_a_certificate(
    tree: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    links = {
        "etc/ssl/certs/sensor.pem": f"{STORE}/current/cert.pem",
        "etc/ssl/private/sensor-key.pem": f"{STORE}/current/key.pem",
    }
    for each, target in links.items():
        linked(tree, each, target)
    (tree / name).unlink()  # as `update-ca-certificates --fresh` does
    code, said = check(tree, capsys)
    assert (code, f"FAIL  link: /{name}: is missing" in said) == (1, True)
    assert said.endswith(f"  next: ln -s {links[name]} {tree}/{name}\n")
    linked(tree, name, links[name])
    assert check(tree, capsys)[0] == 0


def test_json_says_what_is_found(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tree, "etc/sensor-agent/enroll-token")
    main(["image-check", str(tree), "--json"])
    assert json.loads(capsys.readouterr().out) == {
        "ok": False,
        "found": [
            {"what": "token", "path": "/etc/sensor-agent/enroll-token", "why": "whoever has the image could enroll"}
        ],
    }
