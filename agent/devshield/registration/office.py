"""The registration authority as a server: what it runs with, and who signs."""

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from agent.devshield.address import address_of
from agent.devshield.authority import FLEET, open_or_create, write_server_pair
from agent.devshield.exchange import Outcome, Request
from agent.devshield.registration.desk import Desk
from agent.devshield.registration.door import Door
from agent.devshield.registration.files import put
from agent.devshield.registration.ledger import Ledger
from agent.devshield.registration.policy import Policy
from agent.devshield.registration.signers import CaSigner, Signer, ZoneSigner
from agent.devshield.server import HttpServer
from agent.devshield.zone_client import ZoneClient
from agent.errors import AgentError, ConfigError

log = logging.getLogger(__name__)

BODY_BYTES: Final = 32 << 10  # a request of RSA-4096 with a long subject is 2 KiB
SETTINGS: Final = "signer.json"


@dataclass(frozen=True, slots=True)
class Zone:
    """The zone whose authority signs; an empty `ca_file` is the system's."""

    url: str
    zone_id: str
    token_file: str
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    """`zone` None signs with an authority of its own in the directory. `certificate` and `key` are the server's,
    made by that authority if None. With `approve` every new device waits for a person. `retry_seconds` is when a
    device should ask again while the signer is not ready, `approval_seconds` while it waits for that person.
    """

    directory: Path
    policy: Policy
    listen: str = "127.0.0.1"
    port: int = 0
    zone: Zone | None = None
    approve: bool = False
    retry_seconds: int = 10
    approval_seconds: int = 30
    certificate: Path | None = None
    key: Path | None = None


def make_signer(directory: Path, zone: Zone | None) -> Signer:
    """Who signs; what a zone's token file says is read now. Raises ConfigError if there is none."""
    if zone is None:
        return CaSigner(open_or_create(directory, FLEET))
    try:
        token = Path(zone.token_file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{zone.token_file}: no token: {error}", hint="give --zone-token-file") from error
    return ZoneSigner(ZoneClient(url=zone.url, zone_id=zone.zone_id, token=token, ca_file=zone.ca_file))


def remembered_signer(directory: Path) -> Signer:
    """The signer that `serve` last used on the directory, for the operator's other commands."""
    try:
        fields = json.loads((directory / SETTINGS).read_bytes())
        zone = Zone(**fields) if fields is not None else None
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{directory / SETTINGS}: does not say who signs: {error}", hint="start `serve` again, which writes it"
        ) from error
    return make_signer(directory, zone)


class RegistrationAuthority:
    """Serves from its making to `close`. `now` gives UNIX seconds; `ledger` may be used while it runs.

    Raises ConfigError for a port, token or certificate that cannot be used, CannotWrite for the directory.
    """

    def __init__(self, setup: Setup, *, signer: Signer | None = None, now: Callable[[], float] = time.time) -> None:
        directory = setup.directory
        self.ledger: Final = Ledger(directory)
        own_signer = signer or make_signer(directory, setup.zone)
        put(directory / SETTINGS, json.dumps(asdict(setup.zone) if setup.zone else None).encode(), mode=0o644)
        address = address_of(setup.listen)
        self._door = Door(
            lambda: _server_pair(setup, address.names),
            lambda: (entry.certificate for entry in self.ledger.entries() if entry.certificate),
        )
        self.ledger.write_lists()
        self._desk = Desk(
            policy=setup.policy,
            ledger=self.ledger,
            signer=own_signer,
            approve=setup.approve,
            retry_seconds=setup.retry_seconds,
            approval_seconds=setup.approval_seconds,
            now=now,
            trust=self._door.trust,
        )
        self._stop = threading.Event()
        self._server = HttpServer(
            (setup.listen, setup.port), self._door, self._answer, self._stop, body_bytes=BODY_BYTES
        )
        self.port: Final = self._server.port
        self.where: Final[dict[str, Any]] = {
            "url": f"https://{address.told}:{self.port}/client/v4",
            "port": self.port,
            "ca_file": str(directory / "ca.pem") if setup.certificate is None else None,
            "allowed_file": str(self.ledger.allowed_file),
            "signer": own_signer.name,
        }
        self._server.start()

    def _answer(self, request: Request) -> Outcome:
        reply = self._desk.answer(request)
        log.debug("request", extra={"METHOD": request.method, "HTTP_STATUS": reply.status, "CLIENT": request.address})
        return Outcome(reply)

    def reload(self) -> None:
        """Take up a renewed server certificate; if it cannot be used, the log says so and the one before stays."""
        try:
            self._door.reload()
            log.info("certificate taken up")
        except AgentError as error:
            log.warning("certificate not taken up", extra={"REASON": str(error), "HINT": error.hint})

    def close(self) -> None:
        """Stop at once."""
        self._stop.set()
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _server_pair(setup: Setup, names: Sequence[str]) -> tuple[Path, Path]:
    if setup.certificate is not None and setup.key is not None:
        return setup.certificate, setup.key
    return write_server_pair(open_or_create(setup.directory, FLEET), setup.directory, names)
