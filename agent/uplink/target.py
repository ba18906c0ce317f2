"""Where the uplink goes. Apart from what goes there, so that a configuration can be taken up without the HTTP library."""

from agent.record import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how: the uplink's section of the configuration, as far as this package needs it."""

    url: str
    ca_file: str
    timeout_seconds: float
    accept_status: tuple[int, ...] = (201,)
    proxy: str = ""
