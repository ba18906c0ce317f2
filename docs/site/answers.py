"""What the commands say with `--json`: each run as a process of its own on a played board before a development shield.

So the reference shows answers and not a description of them.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from agent.devshield.onewire_tree import OneWireTree
from agent.devshield.shield import Setup, Shield

COMMANDS: Final = (
    "init --url {shield} --json",
    "probe --json",
    "enroll --token-file {token_file} --json",
    "run --once --json",
    "read --json",
    "check --json",
    "identity show --json",
    "identity verify --json",
    "spool show --json",
    "history --json",
)
SHOWN: Final = 3  # of a long list
# what differs from run to run, and would make two builds differ for nothing
PORT: Final = re.compile(r"127\.0\.0\.1(:| port )\d+")


def answers(home: Path) -> list[tuple[str, str]]:
    """Each command as it is typed, and its answer; the board's files are below `home`."""
    OneWireTree(home / "board").add("28-00000586475d", -18.0)
    synchronised = home / "board/run/systemd/timesync/synchronized"
    synchronised.parent.mkdir(parents=True)
    synchronised.touch()
    config = home / "etc/config.toml"
    (config.parent / "conf.d").mkdir(parents=True)
    with Shield(Setup(home / "shield", rule="strict")) as shield:
        where = shield.where
        drop_in = (
            '[device]\nname = "sensor-001.devices.example.com"\n[uplink]\nca_file = "{ca_file}"\n'
            '[enroll]\nurl = "{api}"\nzone_id = "{zone_id}"\n[spool]\npath = "{home}/spool.db"\n'
            '[identity]\ncert_file = "{home}/sensor.pem"\nkey_file = "{home}/sensor-key.pem"\nstore_dir = "{home}/identity"\n'
        )
        (config.parent / "conf.d/played.toml").write_text(drop_in.format(home=home, **where), encoding="utf-8")
        return [(_typed(command), _plain(_run(command.format(**where), config, home), home)) for command in COMMANDS]


def _run(command: str, config: Path, home: Path) -> str:
    """What it says on stdout. Raises RuntimeError if that is no JSON: then the page would be a lie."""
    done = subprocess.run(  # noqa: S603 - the agent of this tree
        [sys.executable, "-m", "agent", "--config", str(config), "--root", str(home / "board"), *command.split()],
        capture_output=True, text=True, check=False, timeout=60, env=os.environ | {"NO_COLOR": "1"},
    )  # fmt: skip
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}") from error
    return json.dumps({key: _short(value) for key, value in answer.items()}, ensure_ascii=False, indent=2)


def _typed(command: str) -> str:
    return "sensor-agent " + command.format(shield="https://shield.example.com/temps", token_file="/root/token")  # noqa: S106


def _short(value: object) -> object:
    return [*value[:SHOWN], "…"] if isinstance(value, list) and len(value) > SHOWN else value


def _plain(text: str, home: Path) -> str:
    return PORT.sub("shield.example.com", text.replace(str(home / "etc"), "/etc/sensor-agent").replace(str(home), ""))
