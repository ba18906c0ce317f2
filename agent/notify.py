"""What systemd is told: READY, STATUS, RELOADING, STOPPING and the watchdog (sd_notify(3)); silent without it."""

import os
import time
from collections.abc import Callable, Mapping

from agent.errors import ConfigError

Send = Callable[[str], object]


class Notifier:
    """Messages to the service manager of this process."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._status = ""

    def ready(self) -> None:
        """Started, or done with a reload."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; sent when it changes."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def reloading(self) -> None:
        """A reload has begun; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """On the way out."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Pet the watchdog."""
        self._send("WATCHDOG=1")


def from_environment(environ: Mapping[str, str]) -> Notifier:
    """A notifier for the socket that systemd passed, or a silent one.

    Raises ConfigError if there is a socket but systemd-python is not installed: the unit would wait for READY
    until it is killed, which is worse than being told.
    """
    if not environ.get("NOTIFY_SOCKET"):
        return Notifier(lambda _: None)
    try:
        from systemd.daemon import notify
    except ImportError as error:
        raise ConfigError(
            "NOTIFY_SOCKET is set, but the library systemd-python is not installed",
            hint="sudo apt install python3-systemd # or: pip install 'sensor-agent[systemd]'",
        ) from error
    return Notifier(notify)


def watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """How often the watchdog must be petted at the latest, or None if it does not watch this process."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    micro = environ.get("WATCHDOG_USEC", "")
    return int(micro) / 1e6 if micro.isdecimal() and int(micro) > 0 else None
