"""A golden image is looked through without being booted: nothing in it may make two devices one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from world.boards import put_board
from world.enrollee import Api, Enrollee, own_log
from world.images import check, clean_image, linked, put
from world.users import as_nobody

from agent.cli import main
from agent.image import inside


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """The commands run in this process, and set its log up."""
    with own_log():
        yield


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An image as it should be."""
    return clean_image(tmp_path / "image")


def test_a_clean_image_passes(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tree, capsys) == (0, f"{tree}: clean\n")


@pytest.mark.parametrize("text", ["", "uninitialized\n"])
def test_a_machine_id_that_is_not_set_passes(tree: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    put(tree, "etc/machine-id", text)
    assert check(tree, capsys)[0] == 0


DIRT = {
    "var/lib/sensor-agent-identity/gen/000001/key.pem": "key",
    "var/lib/sensor-agent-identity/pending/key.pem": "key",
    "etc/ssl/private/sensor-key.pem": "key",
    "etc/ssl/certs/sensor.pem": "certificate",
    "etc/sensor-agent/enroll-token": "token",
    "var/lib/sensor-agent/spool.db": "spool",
    "var/lib/sensor-agent/spool.db-wal": "spool",
    "var/lib/dbus/machine-id": "machine id",
    "var/lib/systemd/random-seed": "random seed",
    "var/lib/systemd/credential.secret": "secret",
}


@pytest.mark.parametrize("name", DIRT)
def test_what_would_make_two_devices_one_is_named_and_reset_removes_it(
    tree: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    put(tree, name)
    code, said = check(tree, capsys)
    assert code == 1
    assert f"FAIL  {DIRT[name]}: /" in said
    assert f"sensor-agent --root {tree} identity reset --image" in said
    assert main(["--root", str(tree), "identity", "reset", "--image"]) == 0
    capsys.readouterr()
    assert check(tree, capsys)[0] == 0


@pytest.mark.parametrize("root", [[], ["--root=/"], ["--root=/etc/.."]])
def test_the_system_that_runs_is_no_image(root: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with as_nobody():  # who could do no harm here
        assert main(["identity", "reset", "--image", *root]) == 2
    assert "--root DIR identity reset --image" in capsys.readouterr().err


def test_a_machine_id_is_named_and_left_empty(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_board(tree, machine="a" * 32)
    assert "machine id: /etc/machine-id" in check(tree, capsys)[1]
    main(["--root", str(tree), "identity", "reset", "--image"])
    assert (tree / "etc/machine-id").read_text() == ""


@pytest.mark.parametrize("target", ["/data/key.pem", "/var/lib/sensor-agent-identity/current/cert.pem"])
def test_a_dangling_link_to_a_key_is_dirt_too(tree: Path, capsys: pytest.CaptureFixture[str], target: str) -> None:
    linked(tree, "etc/ssl/private/sensor-key.pem", target)
    assert check(tree, capsys)[0] == 1


def test_the_links_of_a_read_only_etc_pass_and_what_they_lead_to_does_not(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    linked(tree, "etc/ssl/private/sensor-key.pem", "/var/lib/sensor-agent-identity/current/key.pem")
    linked(tree, "etc/ssl/certs/sensor.pem", "/var/lib/sensor-agent-identity/current/cert.pem")
    assert check(tree, capsys)[0] == 0
    put(tree, "var/lib/sensor-agent-identity/current/key.pem")
    code, said = check(tree, capsys)
    assert (code, said.count("FAIL")) == (1, 1)
    assert "FAIL  key: /var/lib/sensor-agent-identity/current:" in said
    assert main(["--root", str(tree), "identity", "reset", "--image"]) == 0
    capsys.readouterr()
    assert check(tree, capsys)[0] == 0
    assert (tree / "etc/ssl/certs/sensor.pem").is_symlink()


def test_a_name_in_the_configuration_would_be_everybodys(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tree, "etc/sensor-agent/conf.d/50-site.toml", '[device]\nname = "sensor-001"\n')
    code, said = check(tree, capsys)
    assert (code, "every device would be called sensor-001" in said) == (1, True)
    assert "take device.name out" in said


def test_the_images_own_configuration_says_where_to_look(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(
        tree,
        "etc/sensor-agent/conf.d/50-data.toml",
        '[spool]\npath = "/data/readings.db"\n[enroll]\ntoken_file = "/data/t"\n',
    )
    put(tree, "data/readings.db")
    put(tree, "data/t")
    said = check(tree, capsys)[1]
    assert "spool: /data/readings.db" in said
    assert "token: /data/t" in said


def test_a_link_out_of_the_image_leads_nowhere_but_into_the_image(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builders_own = put(tmp_path, "data/sensor-agent/spool.db")
    (tree / "var/lib/sensor-agent").symlink_to(tmp_path / "data/sensor-agent")
    put(tree, f"{str(tmp_path).lstrip('/')}/data/sensor-agent/spool.db")
    assert check(tree, capsys)[0] == 1
    main(["--root", str(tree), "identity", "reset", "--image"])
    capsys.readouterr()
    assert check(tree, capsys)[0] == 0
    assert builders_own.exists()


def test_links_that_go_round_are_an_error_of_the_image(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "var/lib/sensor-agent").symlink_to("/var/lib/sensor-agent")
    code, said = check(tree, capsys)
    assert (code, "too many links" in said) == (78, True)


def test_dots_do_not_lead_out(tree: Path) -> None:
    assert inside(tree, "/../../etc/../etc/machine-id") == tree / "etc/machine-id"


@pytest.mark.parametrize("what", ["nothing there", "bad configuration"])
def test_what_is_no_image_is_told(tree: Path, capsys: pytest.CaptureFixture[str], what: str) -> None:
    if what == "bad configuration":
        put(tree, "etc/sensor-agent/config.toml", "[[[")
    assert check(tree / "nowhere" if what == "nothing there" else tree, capsys)[0] == 78


def test_an_image_made_of_a_running_device_is_dirty_and_clean_after_reset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = Enrollee(tmp_path / "device")
    with device.asking(Api()):
        assert device("enroll").code == 0
    root = tmp_path / "image"
    put(root, "etc/machine-id", "")
    for file in device.directory.rglob("*"):
        target = root / "etc" / "x" / file.relative_to(device.directory)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.is_symlink():
            target.symlink_to(file.readlink())
        elif file.is_file():
            target.write_bytes(file.read_bytes())
    text = device.config.read_text().replace(str(device.directory), "/etc/x").replace('name = "sensor-001', 'name = "')
    put(root, "etc/sensor-agent/config.toml", text.replace('name = ".devices.example.com"', 'name = ""'))
    code, said = check(root, capsys)
    assert code == 1
    assert {line.split(":")[0] for line in said.splitlines() if line.startswith("FAIL")} == {
        "FAIL  key",
        "FAIL  certificate",
        "FAIL  token",
    }
    assert main(["--root", str(root), "identity", "reset", "--image"]) == 0
    capsys.readouterr()
    assert check(root, capsys)[0] == 0
