"""HTTP/1.1 over a door: a port with a thread for each connection.

Ends at once when it is told to: what has been answered is sent, and every wait is one on the stop event.
"""

import contextlib
import errno
import logging
import socket
import socketserver
import ssl
import struct
import sys
import threading
from typing import Any, Final

from agent.devshield.edge import Door
from agent.devshield.exchange import Application, Exchange
from agent.errors import ConfigError

log = logging.getLogger(__name__)

BODY_BYTES: Final = 4 << 20  # Cloudflare takes 100 MiB, which as parsed JSON are 2 GiB
IDLE_SECONDS: Final = 400  # for a handshake, or between two bytes: Cloudflare's
# how a connection fails when its client has gone; a time-out of the kernel's is BlockingIOError
LEFT: Final = (ConnectionError, TimeoutError, BlockingIOError, ssl.SSLError)
LEFT_NUMBERS: Final = {errno.ENOTCONN, errno.EHOSTUNREACH, errno.ENETUNREACH}
ENDING_SECONDS: Final = 1.0  # for a client to take the answer that it is being given when all ends


class HttpServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves one application on one port from `start` to `close`; a thread for each connection."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        door: Door,
        application: Application,
        stop: threading.Event,
        *,
        body_bytes: int = BODY_BYTES,
        idle_seconds: int = IDLE_SECONDS,
    ) -> None:
        self.application = application
        self.stop = stop
        self.body_bytes: Final = body_bytes
        # option 66 instead of 20: 32 bit with times of 64, as armhf since Debian 13; a long is not enough there
        self._patience: Final = struct.pack("qq" if socket.SO_RCVTIMEO == 66 else "ll", idle_seconds, 0)
        self._door = door
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(3600.0,), name=f"port {address[1]}")
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        try:
            super().__init__(address, Exchange)
        except OSError as error:
            raise ConfigError(
                f"{address[0]} port {address[1]}: cannot listen: {error.strerror or error}",
                hint="give another port, or 0 for a free one",
            ) from error
        self.port: Final = int(self.server_address[1])

    def start(self) -> None:
        """Answer from now on; connections that came before are waiting."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening, end all connections, and return when their threads are gone. `stop` must be set.

        What has been answered is sent first: it is in the log, and a client that does not hear of it comes again.
        """
        if self._thread.ident is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)  # wakes serve_forever, which polls once an hour
            self.shutdown()
            self._thread.join()
        with self._changed:
            self._end(socket.SHUT_RD)
            self._changed.wait_for(lambda: not self._open, ENDING_SECONDS)
            self._end(socket.SHUT_RDWR)
        self.server_close()

    def _end(self, how: int) -> None:
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(how)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """One connection, in its own thread."""
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):  # the kernel's: pyOpenSSL knows no timeout of Python's
            request.setsockopt(socket.SOL_SOCKET, option, self._patience)
        spare = request.dup()  # the door may take the socket away; this one still reaches the connection
        with self._changed:
            if self.stop.is_set():  # `close` may have ended all that were open, and would wait for this one
                spare.close()
                return
            self._open.add(spare)
        try:
            link = self._door(request)
            try:
                Exchange(link, client_address, self)  # type: ignore[arg-type] # a link takes the socket's place
            finally:
                link.close()
        finally:
            with self._changed:
                self._open.discard(spare)
                self._changed.notify_all()
            spare.close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's form
        """A client that went away is no news; anything else is a fault here."""
        error = sys.exc_info()[1]
        if isinstance(error, LEFT) or (isinstance(error, OSError) and error.errno in LEFT_NUMBERS):
            log.debug("connection ended", extra={"CLIENT": client_address[0], "REASON": str(error)})
        else:
            log.error("request not answered", exc_info=error, extra={"CLIENT": client_address[0]})
