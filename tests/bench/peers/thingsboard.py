"""ThingsBoard IoT Gateway: speaks MQTT to ThingsBoard and cannot post to an API; only what it takes to be there is measured."""

import json
import os
from pathlib import Path

from bench.peers import Place

NAME = "ThingsBoard gateway"
JOB = "reads, keeps; MQTT only"
DURABLE = "events in SQLite"
NEEDS = (
    "apt-get install --no-install-recommends mosquitto; "
    "python3 -m venv PEERS && PEERS/bin/pip install thingsboard-gateway mqtt-io, then PEERS=PEERS make bench"
)
PROGRAM = Path(os.environ.get("PEERS", "build/peers")) / "bin/thingsboard-gateway"


def found() -> bool:
    """Whether it is installed."""
    return PROGRAM.exists()


def command(place: Place) -> list[str]:
    """With its SQLite storage, no connector, and a plain broker in ThingsBoard's place."""
    config = place.directory / "thingsboard"
    config.mkdir(exist_ok=True)
    gateway = {
        "thingsboard": {
            "host": "127.0.0.1",
            "port": place.broker,
            "remoteShell": False,
            "remoteConfiguration": False,
            "statistics": {"enable": False, "statsSendPeriodInSeconds": 3600},
            "security": {"type": "accessToken", "accessToken": "none"},
        },
        "storage": {"type": "sqlite", "data_file_path": f"{config}/"},
        "grpc": {"enabled": False},
        "connectors": [],
    }
    (config / "tb_gateway.json").write_text(json.dumps(gateway))
    (config / "logs.json").write_text(json.dumps({"version": 1, "disable_existing_loggers": False}))
    return ["env", "-C", str(config), f"TB_GW_CONFIG_DIR={config}", str(PROGRAM.absolute())]
