"""The sections of the configuration: every key with its default, its unit and the checks its value must pass."""

from collections.abc import Mapping, Sequence
from typing import Final

from agent.config.sensors import SensorConfig
from agent.config.tables import between, each, key, matches, one_of
from agent.config.urls import host_and_port, login
from agent.record import REQUIRED, dataclass, field

CA_FILE: Final = "/etc/ssl/certs/ca-certificates.crt"
_PATH = matches(r"/[^\0]*", 'an absolute path, as "/var/lib/…"')
HTTPS = matches(r"https://[^\s/?#@%]+(/[^\s#]*)?", "an https:// URL without user, fragment or spaces")
_WORDS = matches(r"[^\x00-\x1f\x7f]{0,64}", "at most 64 printable characters")
NAME = matches(r"([A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?)?", "1 to 64 letters, digits, dots and hyphens")


def _not_empty(values: Sequence[object]) -> str | None:
    return None if values else "must name one at least, or nothing would ever be delivered"


def _none_or_more(value: float) -> str | None:
    return None if value == 0 or 1.1 <= value <= 1000 else "must be 0, or between 1.1 and 1000"


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """An empty name means `rpi-<serial>`, else `host-<hash of machine-id>`."""

    name: str = key("", NAME)


@dataclass(frozen=True, slots=True)
class UplinkConfig:
    """`timeout_seconds` is one deadline for the whole request, from connecting to the last byte of the answer."""

    url: str = key(REQUIRED, HTTPS, host_and_port)
    ca_file: str = key(CA_FILE, _PATH)
    timeout_seconds: float = key(20.0, between(0.1, 600))
    min_interval_seconds: float = key(1.05, between(0, 3600))  # Workers KV takes one write a second per key
    max_backoff_seconds: float = key(300.0, between(0.1, 86400))
    catch_up: float = key(0.0, _none_or_more)  # for fleets: times the requests of a normal day
    live_first: bool = key(default=False)
    temperature_as: str = key("string", one_of("string", "number"))  # the tutorial's Worker refuses the number 0
    extra_fields: tuple[str, ...] = key((), each(one_of("sensor", "device", "seq")))
    accept_status: tuple[int, ...] = key((201,), each(between(200, 299)), _not_empty)
    proxy: str = key(
        "",
        matches(r"(http://[^\s/?#]+/?)?", "an http:// URL (the tunnel through it is TLS), or empty"),
        host_and_port,
        login,
    )


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """Where the pair is found; `store_dir` is the root-owned store that enroll writes generations into."""

    cert_file: str = key("/etc/ssl/certs/sensor.pem", _PATH)
    key_file: str = key("/etc/ssl/private/sensor-key.pem", _PATH)
    store_dir: str = key("/var/lib/sensor-agent-identity", _PATH)


@dataclass(frozen=True, slots=True)
class SubjectConfig:
    """The names of the tutorial's csr.json; the common name and the SAN come from the device's name."""

    C: str = key("", matches(r"([A-Z]{2})?", "a two-letter country code"))
    ST: str = key("", _WORDS)
    L: str = key("", _WORDS)
    O: str = key("", _WORDS)  # noqa: E741 - X.520's own abbreviation
    OU: str = key("", _WORDS)


@dataclass(frozen=True, slots=True)
class EnrollConfig:
    """`ca_file` is what the issuer's own server certificate is checked against; empty means the uplink's.

    `renew_url` is where a registration authority takes the old certificate in place of a token.
    """

    issuer: str = key("cloudflare", one_of("cloudflare", "est", "cfssl", "manual"))
    url: str = key("https://api.cloudflare.com/client/v4", HTTPS, host_and_port)
    zone_id: str = key("", matches(r"[0-9A-Za-z_-]{0,64}", "a zone id, or empty for a registration authority"))
    renew_url: str = key("", matches(r"(https://[^\s/?#@%]+(/[^\s#]*)?)?", "an https:// URL, or empty"), host_and_port)
    profile: str = key("", matches(r"[0-9A-Za-z_.-]{0,64}", "the name of a profile of cfssl's, or empty"))
    token_file: str = key("/etc/sensor-agent/enroll-token", _PATH)
    ca_file: str = key("", matches(r"(/[^\0]*)?", "an absolute path, or empty"))
    validity_days: int = key(365, between(1, 5475))
    key_type: str = key("p256", one_of("p256", "rsa2048"))
    subject: SubjectConfig = field(default_factory=SubjectConfig)


@dataclass(frozen=True, slots=True)
class SpoolConfig:
    """`durability` is `strict` (on flash before the POST) or a window as `60s` in which readings stay in memory."""

    path: str = key("/var/lib/sensor-agent/spool.db", _PATH)
    durability: str = key("strict", matches(r"strict|[1-9][0-9]{0,3}s", '"strict" or a window of seconds as "60s"'))
    max_readings: int = key(300_000, between(1, 10_000_000))
    max_age_days: int = key(365, between(1, 36500))
    drop: str = key("oldest", one_of("oldest", "thin"))

    @property
    def window_seconds(self) -> float:
        """How long a reading may wait in memory for its commit; 0 when strict."""
        return 0.0 if self.durability == "strict" else float(self.durability.removesuffix("s"))


@dataclass(frozen=True, slots=True)
class ClockConfig:
    """`hold` keeps readings until the clock can be trusted and then stamps them right; `send` trusts any clock."""

    unsynchronised: str = key("hold", one_of("hold", "send"))


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the agent was told; modules get their own section, never the whole."""

    uplink: UplinkConfig
    sensors: tuple[SensorConfig, ...]
    device: DeviceConfig = field(default_factory=DeviceConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)
    enroll: EnrollConfig = field(default_factory=EnrollConfig)
    spool: SpoolConfig = field(default_factory=SpoolConfig)
    clock: ClockConfig = field(default_factory=ClockConfig)


SECTIONS: Final[Mapping[str, type]] = {
    "device": DeviceConfig,
    "uplink": UplinkConfig,
    "identity": IdentityConfig,
    "enroll": EnrollConfig,
    "spool": SpoolConfig,
    "clock": ClockConfig,
}
