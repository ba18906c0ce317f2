"""systemd/sensor-agent-clock.service: the helper that asks the kernel for the time where nobody else says it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from agent.clock import SEEN, kernel_says_synchronised

ROOT: Final = Path(__file__).parent.parent
UNIT: Final = (ROOT / "systemd/sensor-agent-clock.service").read_text(encoding="utf-8")


def option(key: str) -> str:
    (value,) = re.findall(rf"^{key}=(.*)$", UNIT, flags=re.MULTILINE)
    return str(value)


def test_the_kernel_is_asked_for_the_time_by_a_service_without_a_network() -> None:
    assert option("WantedBy").split()[0] == "multi-user.target"
    assert option("ExecStart").split()[1] == f"/{SEEN}"
    assert option("RuntimeDirectory") == SEEN.parts[1]
    assert option("PrivateNetwork") == option("PrivateUsers") == "yes"
    assert option("CapabilityBoundingSet") == ""


@pytest.mark.parametrize(
    ("code", "asks"), [(0, False), (3, True), (4, True)]
)  # active, inactive or failed, no such unit
def test_the_kernel_is_asked_wherever_timesyncd_does_not_run(code: int, asks: bool, tmp_path: Path) -> None:
    (condition,) = re.findall(r"^/bin/sh -c '(.*)'$", option("ExecCondition"))
    (tmp_path / "systemctl").write_text(
        f'#!/bin/sh\ntest "$*" = "--quiet is-active systemd-timesyncd.service" && exit {code}\nexit 99\n'
    )
    (tmp_path / "systemctl").chmod(0o755)

    run = subprocess.run(["/bin/sh", "-c", condition], env={"PATH": str(tmp_path)}, check=False)

    assert (run.returncode == 0) == asks
    assert "Condition" not in re.sub("ExecCondition", "", UNIT)  # what is installed says nothing of what runs
    assert option("After") == "systemd-timesyncd.service"  # or it would be asked before it is started


def test_a_time_daemon_that_is_installed_later_brings_the_helper_up(tmp_path: Path) -> None:
    # installing chrony takes timesyncd away, and the condition of the boot was judged by that one
    if shutil.which("systemctl") is None:
        pytest.skip("systemctl is not installed: apt-get install systemd")
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    (units / "sensor-agent-clock.service").write_text(UNIT)

    subprocess.run(["systemctl", f"--root={tmp_path}", "enable", "sensor-agent-clock"], check=True, capture_output=True)

    for daemon in ("chrony", "ntpsec", "openntpd"):  # the units of Debian's packages
        assert (units / f"{daemon}.service.wants/sensor-agent-clock.service").is_symlink()


def test_the_clock_helper_leaves_its_file_where_the_clock_is_set(tmp_path: Path) -> None:
    script = ROOT / "packaging/bin/sensor-agent-clock"
    text = script.read_text(encoding="utf-8").replace("/usr/share/sensor-agent", str(ROOT))

    with subprocess.Popen([sys.executable, "-I", "-c", text, tmp_path / "set"]) as process:
        try:
            process.wait(1.0 if not kernel_says_synchronised() else 10.0)
        except subprocess.TimeoutExpired:
            process.kill()

    assert (tmp_path / "set").exists() == kernel_says_synchronised()
