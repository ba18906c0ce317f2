"""Whether a shield refuses who shows no certificate: the one look at a zone that its own API cannot give."""

import threading
import time
from collections.abc import Callable
from typing import Final

import requests

from agent.errors import AgentError, ConfigError, TryLater

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

    So is a host that does not answer yet, or whose certificate is not there yet: a deployment has just made it. The
    body is one that no Worker stores. Raises ConfigError when it still gets in after `seconds`, TryLater when nothing
    answers.
    """
    wait = wait or threading.Event().wait
    deadline = monotonic() + seconds
    while True:
        trouble = _trouble(url, ca_file)
        if trouble is None:
            return "HTTP 403"
        if monotonic() >= deadline:
            raise trouble
        wait(EVERY_SECONDS)


def _trouble(url: str, ca_file: str) -> AgentError | None:
    """Why a POST was not refused; None if it was."""
    try:
        status = _status(url, ca_file)
    except requests.exceptions.SSLError as error:
        return ConfigError(
            f"the zone is set, but {url}: its certificate does not verify: {error}",
            hint="check the host and --ca; a new host gets its certificate within some minutes: run shield setup again",
        )
    except requests.RequestException as error:
        return TryLater(
            f"the zone is set, but {url} does not answer yet: {type(error).__name__}",
            hint="npx wrangler deploy makes the host; then run shield setup again, which changes nothing twice",
        )
    if status == 403:
        return None
    return ConfigError(
        f"{url}: a POST without a certificate got HTTP {status}, not 403: nothing is protected",
        hint="is the host proxied by this zone, and does no `skip` rule stand first? then run shield setup again",
    )


def _status(url: str, ca_file: str) -> int:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = ca_file or True
        answer = session.post(
            url, data=b"{}", timeout=TIMEOUT, allow_redirects=False, headers={"Content-Type": "application/json"}
        )
        return answer.status_code
