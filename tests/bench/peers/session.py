"""The same script with one `requests.Session`, so that the connection is kept."""

import sys
import threading
from datetime import UTC, datetime

from bench.peers import Place, tutorial

NAME = "requests.Session loop"
JOB = "reads, posts"
DURABLE = "nothing: an exception ends it"
NEEDS = "make test"


def found() -> bool:
    """Whether it is installed."""
    return True


def command(place: Place) -> list[str]:
    """This file as a script."""
    return tutorial.script(place, __file__)


def main() -> None:
    import requests

    seconds, url, ca_file, certificate, key, *files = sys.argv[1:]
    with requests.Session() as kept:
        kept.cert, kept.verify = (certificate, key), ca_file
        while True:
            for file in files:
                now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                kept.post(url, json={"temperature": str(tutorial.celsius(file)), "time": now}, timeout=20)
            threading.Event().wait(float(seconds))


if __name__ == "__main__":
    main()
