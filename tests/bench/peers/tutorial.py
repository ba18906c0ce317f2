"""The tutorial's script with a loop around it: `requests.post` for each reading, nothing kept, nothing tried again."""

import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from bench.peers import Place

NAME = "tutorial's script"
JOB = "reads, posts"
DURABLE = "nothing: an exception ends it"
NEEDS = "make test"


def found() -> bool:
    """Whether it is installed."""
    return True


def command(place: Place) -> list[str]:
    """This file as a script."""
    return script(place, __file__)


def script(place: Place, file: str) -> list[str]:
    """A script beside this one, with what it needs as arguments."""
    files = [str(place.slave(sensor)) for sensor in place.sensors]
    tls = [place.url, place.ca_file, place.certificate, place.key]
    return [sys.executable, file, str(place.interval), *tls, *files]


def celsius(file: str) -> float:
    """As in every recipe: what stands behind t=."""
    return int(Path(file).read_text().rpartition("t=")[2]) / 1000


def main() -> None:
    import requests

    seconds, url, ca_file, certificate, key, *files = sys.argv[1:]
    while True:
        for file in files:
            body = {"temperature": str(celsius(file)), "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
            requests.post(url, json=body, cert=(certificate, key), verify=ca_file, timeout=20)
        threading.Event().wait(float(seconds))


if __name__ == "__main__":
    main()
