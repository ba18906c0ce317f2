"""Our daemon, as it is run by its unit; without the pause that spares Workers KV, since the sink needs none."""

import sys

from bench.peers import Place

NAME = "sensor-agent"
JOB = "reads, keeps, posts"
DURABLE = "all: on flash before the POST"
NEEDS = "make test"


def found() -> bool:
    """Whether it is installed."""
    return True


def command(place: Place) -> list[str]:
    """The daemon with a configuration for that place."""
    tables = "".join(
        f'[[sensors]]\nname = "s{number}"\ndriver = "ds18b20"\nid = "{sensor}"\ninterval_seconds = {place.interval}\n'
        for number, sensor in enumerate(place.sensors)
    )
    config = place.directory / "config.toml"
    config.write_text(
        f'[device]\nname = "sensor-001.devices.example.com"\n'
        f'[uplink]\nurl = "{place.url}"\nca_file = "{place.ca_file}"\nmin_interval_seconds = 0.0\n'
        f'[identity]\ncert_file = "{place.certificate}"\nkey_file = "{place.key}"\n'
        f'[spool]\npath = "{place.directory}/spool.db"\n' + tables
    )
    return [sys.executable, "-m", "agent", "run", "--config", str(config), "--root", str(place.root)]
