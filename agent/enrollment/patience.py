"""For how long an enrollment tries again, and when."""

import logging
from collections.abc import Callable
from datetime import datetime
from threading import Event
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from agent.errors import TryLater
from agent.record import dataclass

log = logging.getLogger(__name__)

T = TypeVar("T")


def quietly(event: Event, seconds: float, _: str) -> None:
    """Wait for so long, or until the event, and tell nobody why."""
    event.wait(seconds)


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long to try again, and what ends it early. `wait` is given what ends it, the seconds, and the reason.

    `clock_is_set` says whether a time daemon vouches for `now`.
    """

    now: Callable[[], datetime]
    wait_seconds: float = 0.0
    stop: Event | None = None
    wait: Callable[[Event, float, str], None] = quietly
    clock_is_set: Callable[[], bool] = lambda: False


def patiently(once: Callable[[], T], patience: Patience) -> T:
    """What it gives, tried again after each TryLater for as long as there is patience."""
    event = patience.stop or Event()
    told: set[str] = set()
    reason = ""

    def unless_stopped() -> T:
        if event.is_set():
            raise TryLater("stopped before the issuer was ready")
        return once()

    def tell(state: RetryCallState) -> None:
        nonlocal reason
        reason = str(state.outcome.exception()) if state.outcome else ""
        if reason not in told:
            told.add(reason)
            log.info("enrollment waits", extra={"REASON": reason})

    total = patience.wait_seconds
    retrying = Retrying(
        retry=retry_if_exception_type(TryLater),
        stop=stop_after_delay(total) | stop_when_event_set(event) | _InVain(total),
        wait=_Wait(total),
        sleep=lambda seconds: patience.wait(event, seconds, reason),
        before_sleep=tell,
        reraise=True,
    )
    return retrying(unless_stopped)


class _Wait(wait_base):
    """Full jitter up to a minute, or what the issuer asked for; never beyond the time there is."""

    def __init__(self, total: float) -> None:
        self._total = total
        self._jitter = wait_random_exponential(multiplier=1, max=60)

    def __call__(self, retry_state: RetryCallState) -> float:
        return max(min(_asked(retry_state) + self._jitter(retry_state), _left(retry_state, self._total)), 0.0)


class _InVain(stop_base):
    """The issuer asks for more time than there is."""

    def __init__(self, total: float) -> None:
        self._total = total

    def __call__(self, retry_state: RetryCallState) -> bool:
        return _asked(retry_state) > _left(retry_state, self._total)


def _left(retry_state: RetryCallState, total: float) -> float:
    return total - (retry_state.seconds_since_start or 0.0)


def _asked(retry_state: RetryCallState) -> float:
    error = retry_state.outcome.exception() if retry_state.outcome else None
    return error.after if isinstance(error, TryLater) else 0.0
