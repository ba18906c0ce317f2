"""The development shield: the readings' API behind an mTLS edge on one port, the certificates API on another.

All of its state is in one directory, so it can be stopped, or die, and go on where it was.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from agent.devshield.address import LOOPBACK, address_of, is_loopback
from agent.devshield.api_port import ApiPort
from agent.devshield.authority import open_or_create, write_server_pair
from agent.devshield.certificates_api import PREFIX, ZONE_ID, CertificatesApi
from agent.devshield.edge import Rule, Tls, make_door, pyopenssl_installed
from agent.devshield.exchange import Application
from agent.devshield.extended_api import ExtendedApi
from agent.devshield.faults import Faults, Side, parse_option
from agent.devshield.issued import Issued
from agent.devshield.known_keys import KnownKeys
from agent.devshield.readings import Readings
from agent.devshield.request_log import RequestLog
from agent.devshield.server import HttpServer
from agent.devshield.shield_port import ShieldPort
from agent.devshield.tokens import Tokens
from agent.devshield.zone_api import ZoneApi
from agent.devshield.zone_state import ZoneState
from agent.errors import CannotWrite, TryLater

Api = Literal["tutorial", "extended"]
PATH: Final = "/temps"  # the tutorial's; the Worker takes any


@dataclass(frozen=True, slots=True)
class Setup:
    """`listen` is the address of both ports; port 0 is a free one. `tls` None takes pyOpenSSL when it is there.

    `faults` are as on the command line, `api` is the readings' one.
    """

    directory: Path
    listen: str = LOOPBACK
    port: int = 0
    api_port: int = 0
    rule: Rule = "default"
    tls: Tls | None = None
    faults: tuple[str, ...] = ()
    api: Api = "tutorial"


class Shield:
    """Serves from its making to `close`; both ports answer when it is made. `now` gives UNIX seconds.

    `issued`, `tokens` and `faults` may be used while it runs; `for_others` says that other machines reach it.

    Raises ConfigError for a port, fault or certificate authority that cannot be used, CannotWrite for the
    directory, TryLater if another shield uses the directory.
    """

    def __init__(
        self, setup: Setup, *, now: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.faults: Final = Faults()
        chosen = [parse_option(text) for text in setup.faults]
        sides: tuple[Side, ...] = ("shield", "api")
        for side in sides:
            self.faults.put(side, [fault for where, fault in chosen if where == side])
        self.tls: Final[Tls] = setup.tls or ("pyopenssl" if pyopenssl_installed() else "stdlib")
        self._setup = setup
        self._stop = threading.Event()
        with ExitStack() as undo:
            directory = setup.directory
            undo.callback(os.close, _lock(directory))
            undo.callback(self._stop.set)
            authority = open_or_create(directory)
            self.issued: Final = Issued(directory / "certificates", authority, now=now)
            self.tokens: Final = Tokens(directory)
            self._requests = RequestLog(directory / "requests.jsonl")
            readings = Readings(directory / "kv", monotonic=monotonic)
            extended = ExtendedApi(readings, KnownKeys(directory / "keys"), directory / "readers.json", now=now)
            front = ShieldPort(
                rule=setup.rule,
                issued=self.issued,
                readings=readings,
                requests=self._requests,
                faults=self.faults,
                stop=self._stop,
                now=now,
                extended=extended if setup.api == "extended" else None,
            )
            api = ApiPort(
                api=ZoneApi(
                    CertificatesApi(self.issued, self.tokens, now=now), ZoneState(directory, now=now), self.tokens
                ),
                authority=authority,
                tokens=self.tokens,
                faults=self.faults,
                stop=self._stop,
            )
            self.ca_file: Final = authority.certificate_file
            address = address_of(setup.listen)
            pair = write_server_pair(authority, directory, address.names)
            self.port: Final = self._serve(undo, setup.port, front, pair, client_ca=self.ca_file)
            self.api_port: Final = self._serve(undo, setup.api_port, api, pair, client_ca=None)
            self._undo = undo.pop_all()
        self.for_others: Final = not is_loopback(address.told)
        self.url: Final = f"https://{address.told}:{self.port}{PATH}"
        self.api_url: Final = f"https://{address.told}:{self.api_port}{PREFIX}"

    def _serve(
        self, undo: ExitStack, port: int, application: Application, pair: tuple[Path, Path], *, client_ca: Path | None
    ) -> int:
        """Answer on the port until `undo`; gives the port that it became."""
        server = HttpServer((self._setup.listen, port), make_door(self.tls, *pair, client_ca), application, self._stop)
        undo.callback(server.close)
        undo.callback(self._stop.set)
        server.start()
        return server.port

    @property
    def where(self) -> dict[str, Any]:
        """What a device must be told, and what a test wants to know; the object of `shield serve --json`."""
        return {
            "shield": self.url,
            "api": self.api_url,
            "port": self.port,
            "api_port": self.api_port,
            "ca_file": str(self.ca_file),
            "zone_id": ZONE_ID,
            "token_file": str(self.tokens.zone_file),
            "one_time_token_file": str(self.tokens.one_time_file),
            "requests_file": str(self._requests.file),
            "rule": self._setup.rule,
            "readings_api": self._setup.api,
            "page": self.url.removesuffix(PATH) + "/" if self._setup.api == "extended" else None,
            "tls": self.tls,
        }

    def requests(self) -> list[dict[str, Any]]:
        """Every request to the shield so far, in the order of the answers; `stored` says that a reading was."""
        return self._requests.rows()

    def close(self) -> None:
        """Stop at once: open connections are ended, the threads are gone when this returns."""
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _lock(directory: Path) -> int:
    """A lock that ends with the process; two shields on one directory would write each other's files over."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CannotWrite(f"{directory}: {error.strerror or error}", hint="give another --dir") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise TryLater(f"{directory}: another shield uses it", hint="end that one, or give another --dir") from error
    return file
