"""The TLS side of the uplink: one context for all connections, sockets and connections that keep its deadline."""

import errno
import socket
import ssl
import struct
from contextlib import suppress
from typing import Any, cast
from urllib.parse import unquote

from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.poolmanager import PoolManager, ProxyManager
from urllib3.util import make_headers, parse_url

from agent.uplink.deadline import Deadline


class _TlsSocket(ssl.SSLSocket):
    """Handshake, every write and every read are bounded by the deadline."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature of ssl
        self._deadline.hold(self)
        self.settimeout(self._deadline.left())
        super().do_handshake(block)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        if self._sslobj is None:  # type: ignore[attr-defined] # `ssl` asks so when the peer is gone: it would go on without TLS, or leak the socket
            self.close()
            raise ConnectionResetError(errno.ECONNRESET, "the connection was lost before the TLS handshake")
        return super().recv(buflen, flags)

    def send(self, *args: Any, **kwargs: Any) -> int:
        deadline = self._deadline
        try:
            self.settimeout(deadline.left())
            deadline.sent = True
            return super().send(*args, **kwargs)
        except OSError as error:
            refusal = self._refusal()
            self._give_up()
            raise refusal or error from error

    def _refusal(self) -> ssl.SSLError | None:
        """The alert that a server of TLS 1.3 sends before it closes over our certificate: it knows that after our handshake."""
        try:
            self.settimeout(0.0)
            super().read(1)
        except ssl.SSLError as error:
            return error if "ALERT" in (error.reason or "") else None
        except (OSError, ValueError):  # ValueError: no TLS on it any more
            pass
        return None

    def read(self, *args: Any, **kwargs: Any) -> Any:
        """Behind `recv` and `recv_into`."""
        deadline = self._deadline
        try:
            self.settimeout(deadline.left())
            got = super().read(*args, **kwargs)
        except OSError:
            self._give_up()
            raise
        if got:
            deadline.heard = True
        return got

    def _give_up(self) -> None:
        """Have the close throw away what has not left yet: the kernel would go on sending a request given up."""
        with suppress(OSError):  # closed meanwhile
            self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    @property
    def _deadline(self) -> Deadline:
        return cast("Context", self.context).deadline


class Context(ssl.SSLContext):
    """A client's context; loading a bundle of 118 roots costs 21 to 32 ms of CPU, so there is one for all connections."""

    deadline: Deadline
    host: str
    sslsocket_class = _TlsSocket

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        # urllib3 1.26 names none when the host is an address; of a str Python would load the tables of IDNA, 0.4 MiB
        name = kwargs.get("server_hostname") or self.host  # by way of a proxy 1.26 leaves brackets and the last dot
        kwargs["server_hostname"] = name.strip("[]").rstrip(".").encode("ascii")
        return super().wrap_socket(*args, **kwargs)


def tls_context(ca_file: str, deadline: Deadline, host: str, pair: tuple[str, str] | None = None) -> Context:
    """A context that trusts `ca_file` alone and shows the certificate of `pair` (certificate, key) to `host`.

    Raises OSError (of which ssl.SSLError is one) if a file is missing, torn, or the two do not belong together.
    """
    context = Context(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.deadline = deadline
    context.host = host
    context.load_verify_locations(ca_file)
    if pair is not None:
        # an empty password makes an encrypted key fail instead of asking on a terminal
        context.load_cert_chain(pair[0], pair[1], password="")
    return context


class Connection(HTTPSConnection):
    """A connection to the shield, by way of a proxy perhaps, made within the deadline."""

    def _new_conn(self) -> socket.socket:
        try:
            return cast("Context", self.ssl_context).deadline.connect(self._dns_host.strip("[]"), self.port)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, str(error) or "timed out") from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error


class Pool(HTTPSConnectionPool):
    """What urllib3 knows of the way to one host; it keeps no connection, for there is never more than one."""

    ConnectionCls = Connection

    def opened(self) -> Connection:
        """A new connection, handshake done; raises OSError, HTTPException or urllib3's HTTPError."""
        connection = cast("Connection", self._new_conn())
        try:
            if self.proxy is None:
                connection.connect()
            else:
                self._prepare_proxy(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def way(url: str, proxy: str, context: Context) -> Pool:
    """The way to the URL's host, or to it through the proxy, in whose URL a name and a password may stand."""
    pools: PoolManager
    if proxy:
        auth = parse_url(proxy).auth
        headers = make_headers(proxy_basic_auth=unquote(auth)) if auth else None
        pools = ProxyManager(proxy, num_pools=1, maxsize=1, proxy_headers=headers, ssl_context=context)
    else:
        pools = PoolManager(num_pools=1, maxsize=1, ssl_context=context)
    pools.pool_classes_by_scheme = {"https": Pool}
    return cast("Pool", pools.connection_from_url(url))
