"""What a configuration says that is sound and still keeps readings away."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agent.checks.accounts import Account, may
from agent.checks.finding import Check, fail, ok, warn
from agent.config import Config
from agent.config.files import drop_ins, missing
from agent.errors import ConfigError

EXAMPLES: Final = ("example.com", "example.org", "example.net", "example")  # RFC 2606: nobody is there


def refused(error: ConfigError, file: Path) -> list[Check]:
    """A line for each mistake of a configuration that cannot be loaded, or that there is none."""
    if missing(file):
        return [fail("configuration", f"{file}: is not there", error.hint)]
    return [fail("configuration", problem, error.hint) for problem in error.problems]


def configuration(config: Config, file: Path, service: Account | None) -> Iterator[Check]:
    """The lines of one that can."""
    ca_file, directory = Path(config.uplink.ca_file), file.parent / "conf.d"
    dropped_in = [directory, *drop_ins(directory)] if directory.exists() else []
    beside = f" and {len(dropped_in) - 1} files in conf.d" if dropped_in[1:] else ""
    needed = (file.parent, file, *dropped_in, ca_file.parent, ca_file)
    closed = service and next((each for each in needed if not _open_to(service, each)), None)
    if closed:
        saw = f"{closed} cannot be read by the user sensor-agent, as whom the service runs"
        yield fail("configuration", saw, f"sudo chmod {'0755' if closed.is_dir() else '0644'} {closed}")
    else:
        yield ok("configuration", f"{file}{beside}: {len(config.sensors)} sensors")
    host = urlsplit(config.uplink.url).hostname or ""
    if host.endswith(EXAMPLES):
        yield fail("configuration", f"uplink.url is still the example's, {host}", f"put your shield's URL into {file}")
    enroll = config.enroll
    authority = enroll.issuer == "cloudflare" and not enroll.zone_id and "://api.cloudflare.com/" not in enroll.url
    if authority and not enroll.renew_url:
        saw = "enroll.renew_url is empty, and a registration authority renews nothing without it"
        yield warn("issuer", saw, f'put renew_url = "{enroll.url}" below [enroll] into {file}')
    if not config.sensors:
        paste = f"sensor-agent probe | sudo tee -a {file}"
        yield warn("sensors", "none is configured: nothing is read", f"what is here, as tables to paste: {paste}")
    made_up = [each.name for each in config.sensors if each.driver == "simulated"]
    if made_up:
        saw = f"{', '.join(made_up)}: simulated, and sent like true readings"
        yield warn("sensors", saw, f"another driver in {file}; what is here: sensor-agent probe")


def _open_to(service: Account, path: Path) -> bool:
    return may(service, path.stat(), 5 if path.is_dir() else 4)
