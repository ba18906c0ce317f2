"""systemd/: systemd accepts the units, they are locked up, and they give the agent what its code relies on."""

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

from agent.cli import DEFAULT_CONFIG
from agent.config.sections import EnrollConfig, IdentityConfig, SpoolConfig
from agent.identity import CREDENTIAL_NAMES

DIRECTORY: Final = Path(__file__).parent.parent / "systemd"
UNIT: Final = DIRECTORY / "sensor-agent.service"
TEXT: Final = UNIT.read_text(encoding="utf-8")


def options(text: str) -> dict[str, list[str]]:
    """Values by key, in the order in which they stand."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for key, value in re.findall(r"^(\w+)=(.*)$", text, flags=re.MULTILINE):
        found[key].append(value)
    return found


OPTIONS: Final = options(TEXT)
UNITS: Final = sorted(file.name for kind in ("service", "timer", "path") for file in DIRECTORY.glob(f"*.{kind}"))
SERVICES: Final = [name for name in UNITS if name.endswith(".service")]


@pytest.mark.parametrize("name", UNITS)
def test_unit_is_accepted_by_systemd(name: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    for unit in UNITS:  # verify looks at the services of timers and paths, and wants a command that is there
        text = (DIRECTORY / unit).read_text(encoding="utf-8")
        (tmp_path / unit).write_text(
            re.sub(r"/usr/(?:bin|libexec)/sensor-agent(?:-clock)?", sys.executable, text), encoding="utf-8"
        )

    run = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / name], capture_output=True, text=True, check=False
    )

    assert [line for line in run.stderr.splitlines() if "sensor-agent" in line] == []
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_exposure_is_at_most_one_and_a_half(name: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")

    run = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", DIRECTORY / name],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stdout[-200:]


@pytest.mark.parametrize("name", [name for name in UNITS if not name.endswith(".service")])
def test_timers_and_paths_start_the_service_of_their_name(name: str) -> None:
    assert (DIRECTORY / name).with_suffix(".service").is_file()


@pytest.mark.parametrize(
    "line", re.findall(r"^((?:Protect|Restrict|Private|Device|Memory|System\w*Filter).*)", TEXT, re.MULTILINE)
)
def test_root_services_are_locked_up_no_less_than_the_daemon(line: str) -> None:
    if line.startswith("Device"):
        return  # they need no device at all, which PrivateDevices= says
    for name in ("sensor-agent-enroll.service", "sensor-agent-renew.service"):
        assert line in (DIRECTORY / name).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(("certificate", "restarts"), [("one", False), ("another", True), (None, True)])
def test_only_another_certificate_than_the_daemon_has_restarts_it(
    certificate: str | None, restarts: bool, tmp_path: Path
) -> None:
    (note,) = re.findall(r"'(umask .*)'", TEXT)
    unit = (DIRECTORY / "sensor-agent-identity.service").read_text(encoding="utf-8")
    (condition,) = re.findall(r"^ExecCondition=/bin/sh -c 'sleep 1; (.*)'$", unit, re.MULTILINE)
    (tmp_path / "sensor.pem").write_text("one")
    seen = str(tmp_path / "certificate")
    subprocess.run(
        ["sh", "-c", note.replace("%d", str(tmp_path)).replace("/run/sensor-agent/certificate", seen)], check=True
    )
    (tmp_path / "sensor.pem").unlink()
    if certificate is not None:
        (tmp_path / "sensor.pem").write_text(certificate)

    run = subprocess.run(
        ["sh", "-c", condition.replace("/run/sensor-agent/certificate", seen)],
        env={"PATH": "/usr/bin:/bin", "CERTIFICATE": str(tmp_path / "sensor.pem")},
        check=False,
    )

    assert (run.returncode == 0) == restarts


def test_no_certificate_is_what_a_daemon_without_one_was_given() -> None:
    unit = (DIRECTORY / "sensor-agent-identity.service").read_text(encoding="utf-8")
    defaults = dict(value.split(":", maxsplit=1) for value in OPTIONS["SetCredential"])

    assert f"|| printf {defaults[CREDENTIAL_NAMES[0]]};" in unit


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),  # agent.notify says READY=1
        ("NotifyAccess", "main"),
        ("ExecStart", "/usr/bin/sensor-agent run"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),  # SIGHUP re-reads the configuration
        ("Restart", "always"),
        ("StartLimitIntervalSec", "0"),
        ("User", "sensor-agent"),
        ("ConditionPathExists", str(DEFAULT_CONFIG)),
        ("RuntimeDirectory", "sensor-agent"),  # /run/sensor-agent/status.json
        ("RuntimeDirectoryMode", "0755"),
        ("RuntimeDirectoryPreserve", "yes"),
        ("WantedBy", "multi-user.target"),
    ],
)
def test_unit_sets_what_the_daemon_relies_on(key: str, value: str) -> None:
    assert OPTIONS[key] == [value]


def test_unit_watches_with_room_for_a_hanging_round_of_sensors() -> None:
    (seconds,) = OPTIONS["WatchdogSec"]

    assert float(seconds.removesuffix("s")) >= 60


def test_unit_passes_the_pair_under_the_names_that_the_agent_looks_for() -> None:
    files = (IdentityConfig().cert_file, IdentityConfig().key_file)

    assert OPTIONS["LoadCredential"] == [f"{name}:{file}" for name, file in zip(CREDENTIAL_NAMES, files, strict=True)]


def test_unit_starts_without_a_pair() -> None:
    defaults = dict(value.split(":", maxsplit=1) for value in OPTIONS["SetCredential"])

    assert tuple(defaults) == CREDENTIAL_NAMES
    assert all(text and "-----BEGIN" not in text for text in defaults.values())


def test_unit_makes_the_directory_of_the_spool() -> None:
    assert [f"/var/lib/{name}" for name in OPTIONS["StateDirectory"]] == [str(Path(SpoolConfig().path).parent)]


def test_unit_passes_the_boot_that_proc_hides() -> None:
    assert OPTIONS["Environment"] == ["BOOT_ID=%b"]
    assert OPTIONS["ProcSubset"] == ["pid"]


def test_enrollment_is_never_part_of_the_boot() -> None:
    assert "WantedBy" not in options((DIRECTORY / "sensor-agent-enroll.service").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["enroll", "renew"])
def test_a_time_that_never_comes_keeps_no_certificate_from_being_asked_for(name: str) -> None:
    found = options((DIRECTORY / f"sensor-agent-{name}.service").read_text(encoding="utf-8"))
    assert found["After"] == found["Wants"] == ["network-online.target"]


def test_a_pair_that_is_no_good_keeps_neither_enrollment_nor_renewal_from_looking() -> None:
    # a clone, a damaged pair: whether it is one, only the command can tell
    units = {name: options((DIRECTORY / f"sensor-agent-{name}").read_text(encoding="utf-8")) for name in
             ("enroll.service", "enroll.timer", "renew.service")}  # fmt: skip
    pair, token = IdentityConfig().cert_file, EnrollConfig().token_file
    assert units["enroll.service"]["ConditionPathExists"] == [str(DEFAULT_CONFIG), token]
    assert units["enroll.timer"]["ConditionPathExists"] == [f"|!{pair}", f"|{token}"]
    assert units["renew.service"]["ConditionPathExists"] == [str(DEFAULT_CONFIG), f"|{pair}"]
    assert units["renew.service"]["ConditionDirectoryNotEmpty"] == [f"|{IdentityConfig().store_dir}/gen"]


def test_unit_waits_neither_for_the_network_nor_for_the_time() -> None:
    waits = " ".join(value for key in ("After", "Wants", "Requires") for value in OPTIONS[key])

    assert "online" not in waits
    assert "time" not in waits


def test_sysusers_makes_the_user_and_the_groups_that_the_unit_names() -> None:
    made = {tuple(line.split()[:2]) for line in (DIRECTORY / "sensor-agent.sysusers").read_text().splitlines()}

    assert ("u", *OPTIONS["User"]) in made
    assert ("g", *OPTIONS["SupplementaryGroups"]) in made


def test_sysusers_is_accepted_by_systemd(tmp_path: Path) -> None:
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("systemd-sysusers is not installed: apt-get install systemd")
    (tmp_path / "etc").mkdir()
    config = DIRECTORY / "sensor-agent.sysusers"

    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", config], capture_output=True, check=True)

    assert re.search(
        r"^sensor-agent:.*:/var/lib/sensor-agent:", (tmp_path / "etc/passwd").read_text(), flags=re.MULTILINE
    )


@pytest.mark.parametrize("folder", ["systemd", "packaging"])
def test_folders_named_like_libraries_hold_no_python(folder: str) -> None:
    assert list((DIRECTORY.parent / folder).rglob("*.py")) == []
