"""packaging/images: what the recipes of image builders hold that their builders, which are not here, rely on."""

import os
import subprocess
import tomllib
from pathlib import Path
from textwrap import dedent
from typing import Final

from agent.config.files import read
from agent.issuers import can_renew

IMAGES: Final = Path(__file__).parent.parent / "packaging/images"
STAGE: Final = IMAGES / "pi-gen/stage-sensor-agent"


def test_pi_gen_makes_an_image_of_the_stage() -> None:
    sourced = subprocess.run(
        ["bash", "-ec", 'source EXPORT_IMAGE; printf %s "$IMG_SUFFIX"'],
        cwd=STAGE, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert sourced.stdout not in {"", "-lite"}  # a name of its own beside stage2's


def test_pi_gen_runs_the_scripts_of_the_stage() -> None:
    assert all(os.access(STAGE / name, os.X_OK) for name in ("prerun.sh", "00-install/00-run.sh"))


def test_a_fleet_made_by_cloud_init_can_renew() -> None:
    text = (IMAGES / "cloud-init/user-data").read_text()
    begin = text.index("content: |", text.index("/etc/sensor-agent/config.toml")) + len("content: |\n")
    problems: list[str] = []
    config = read(tomllib.loads(dedent(text[begin:].partition("\n#")[0])), problems)

    assert config, problems
    assert can_renew(config.enroll.issuer, renew_url=config.enroll.renew_url)
