"""The authority's TLS: the standard library's, and certificates that it has issued are let in to renew.

A client certificate is trusted for itself, not for who signed it: the zone's authority signs for others too, and
what counts is that this key was certified here.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from agent.devshield.edge import Link, stdlib_link
from agent.errors import ConfigError

IDLE_SECONDS: Final = 30.0  # for a handshake, or for the next byte


class Door:
    """Makes links of connections. `pair` says where the server's certificate and key are, `known` which clients'
    certificates (PEM) there are so far. For any thread. Raises ConfigError for a pair that cannot be used.
    """

    def __init__(self, pair: Callable[[], tuple[Path, Path]], known: Callable[[], Iterable[str]]) -> None:
        self._pair = pair
        self._known = known
        self._changing = threading.Lock()
        self.reload()

    def reload(self) -> None:
        """Show the pair as it is now, from the next handshake on. If it cannot be used, the one before stays."""
        with self._changing:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.verify_mode = ssl.CERT_OPTIONAL
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            certificate, key = self._pair()
            try:
                context.load_cert_chain(certificate, key)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(f"{certificate}, {key}: {error}", hint="give --cert and --key") from error
            for each in self._known():
                context.load_verify_locations(cadata=each)
            self._context = context

    def trust(self, certificate: str) -> None:
        """Let that client's in from now on."""
        with self._changing:  # else it may be read too early for the one context and come too late for the other
            self._context.load_verify_locations(cadata=certificate)

    def __call__(self, connection: socket.socket) -> Link:
        """The link of a connection, after its handshake. Raises OSError."""
        connection.settimeout(IDLE_SECONDS)
        return stdlib_link(self._context, connection)
