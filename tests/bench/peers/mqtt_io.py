"""mqtt-io: reads sensors, publishes over MQTT and cannot post to an API; only what it takes to be there is measured."""

from pathlib import Path

from bench.peers import Place, thingsboard

NAME = "mqtt-io"
JOB = "reads; MQTT only"
DURABLE = "nothing"
NEEDS = thingsboard.NEEDS
PYTHON = Path(thingsboard.PROGRAM).parent / "python"


def found() -> bool:
    """Whether it is installed."""
    return any(PYTHON.parent.parent.glob("lib/*/site-packages/mqtt_io"))


def command(place: Place) -> list[str]:
    """Its mock module for as many sensors: its DS18B20 module reads the board's own /sys and no other."""
    inputs = "".join(
        f"  - name: s{number}\n    module: mock\n    interval: {place.interval:g}\n"
        for number in range(len(place.sensors))
    )
    config = place.directory / "mqtt-io.yml"
    config.write_text(
        f"mqtt:\n  host: 127.0.0.1\n  port: {place.broker}\n  topic_prefix: bench\n"
        f"sensor_modules:\n  - name: mock\n    module: mock\nsensor_inputs:\n{inputs}"
    )
    return [str(PYTHON.absolute()), "-m", "mqtt_io", str(config)]
