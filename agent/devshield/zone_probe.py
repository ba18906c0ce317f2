"""Whether a shield refuses who shows no certificate: the one look at a zone that its own API cannot give."""

import threading
import time
from collections.abc import Callable
from typing import Final

import requests

from agent.errors import ConfigError, TryLater

EVERY_SECONDS: Final = 2.0
TIMEOUT: Final = (10.0, 20.0)  # seconds to connect, and between two bytes


def refused(
    url: str,
    *,
    ca_file: str = "",
    seconds: float,
    monotonic: Callable[[], float] = time.monotonic,
    wait: Callable[[float], object] | None = None,
) -> str:
    """How a POST without a certificate was refused; a rule needs some seconds to reach the edge, so it is tried for as long.

    The body is one that no Worker stores. Raises ConfigError when it still gets in after `seconds`, TryLater when
    nothing answers.
    """
    wait = wait or threading.Event().wait
    deadline = monotonic() + seconds
    while True:
        try:
            status = _status(url, ca_file)
        except requests.exceptions.SSLError as error:
            raise ConfigError(
                f"{url}: its certificate does not verify: {error}", hint="check the host and --ca"
            ) from error
        except requests.RequestException as error:
            raise TryLater(
                f"{url} cannot be reached: {type(error).__name__}", hint="check DNS and the proxy status"
            ) from error
        if status == 403:
            return f"HTTP {status}"
        if monotonic() >= deadline:
            raise ConfigError(
                f"{url}: a POST without a certificate got HTTP {status}, not 403: nothing is protected",
                hint="is the host proxied by this zone, and does no `skip` rule stand first? then run shield setup again",
            )
        wait(EVERY_SECONDS)


def _status(url: str, ca_file: str) -> int:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = ca_file or True
        answer = session.post(
            url, data=b"{}", timeout=TIMEOUT, allow_redirects=False, headers={"Content-Type": "application/json"}
        )
        return answer.status_code
