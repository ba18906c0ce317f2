"""The way to a server, step by step: name, address, TCP, TLS and who it says it is; what fails first is the cause."""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from agent.checks.finding import Check, fail, ok, warn
from agent.record import dataclass

SECONDS: Final = 4.0  # for each step; a packet that got lost three times is still in time
ADDRESSES: Final = 6
SOON_DAYS: Final = 7  # edges renew a month before
# X509_V_ERR_* of openssl/x509_vfy.h
NOT_YET, EXPIRED, NOBODY, OTHER_NAME = 9, 10, frozenset({2, 18, 19, 20, 21}), frozenset({62, 64})


@dataclass(frozen=True, slots=True)
class Way:
    """Where to: of `host` and `port` the certificate is, `hop` is whom TCP goes to (the proxy, if there is one)."""

    name: str
    host: str
    port: int
    hop: tuple[str, int]
    ca_file: str


@dataclass(frozen=True, slots=True)
class Knock:
    """One address that was tried: how long it took, or why not."""

    address: str
    seconds: float
    error: str = ""

    @property
    def is_v6(self) -> bool:
        """Whether it is an IPv6 address."""
        return ":" in self.address


def way(name: str, url: str, *, ca_file: str, proxy: str = "") -> Way:
    """The way to a URL that the configuration has let pass."""
    there, over = urlsplit(url), urlsplit(proxy)
    host, port = there.hostname or "", there.port or 443
    return Way(name, host, port, (over.hostname or "", over.port or 80) if proxy else (host, port), ca_file)


def network(to: Way, *, synchronised: bool, seconds: float = SECONDS) -> Iterator[Check]:
    """The lines as the steps are taken; the last one is a failure if the server was not reached."""
    addresses = look_up(*to.hop, seconds=seconds)
    if isinstance(addresses, str):
        host = to.hop[0]
        fix = f"getent hosts {host}; ip route; ping -c 1 1.1.1.1 # is there a network at all?"
        yield fail(to.name, f"the name {host} leads nowhere: {addresses}", fix)
        return
    knocks = [knock(address, to.hop[1], seconds=seconds) for address in addresses[:ADDRESSES]]
    reached = judge_knocks(to, knocks)
    yield reached
    if reached.result != "fail":
        address = next(each.address for each in knocks if not each.error)
        yield handshake(to, address, synchronised=synchronised, seconds=seconds)


def look_up(host: str, port: int, *, seconds: float) -> Sequence[str] | str:
    """The addresses of the name in the system's order, or why there are none; getaddrinfo(3) knows no timeout."""
    answers: queue.SimpleQueue[Sequence[str] | str] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(each[4][0]) for each in found)))
        except (OSError, UnicodeError) as error:
            answers.put(getattr(error, "strerror", None) or str(error))

    threading.Thread(target=ask, name="lookup", daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return f"no answer within {seconds:g} s"


def knock(address: str, port: int, *, seconds: float) -> Knock:
    """A TCP connection, closed at once."""
    begun = time.monotonic()
    try:
        socket.create_connection((address, port), timeout=seconds).close()
    except OSError as error:
        return Knock(address, time.monotonic() - begun, error.strerror or "timed out")
    return Knock(address, time.monotonic() - begun)


def judge_knocks(to: Way, knocks: Sequence[Knock]) -> Check:
    """What the addresses say together."""
    host, port = to.hop
    where = f"{host} port {port}" + (" (the proxy)" if host != to.host else "")
    good = [each for each in knocks if not each.error]
    if not good:
        why = "; ".join(f"{each.address}: {each.error}" for each in knocks)
        refused = any("refused" in each.error for each in knocks)
        fix = "is it running, and the port right?" if refused else "a firewall? it must let this port out"
        return fail(to.name, f"{where} takes no connection ({why})", f"{fix} curl -v https://{host}:{port}")
    dead = [each for each in knocks if each.error and each.is_v6]
    if dead and not any(each.is_v6 for each in good):
        lost = sum(each.seconds for each in dead)
        saw = f"{where}: its IPv6 addresses lead nowhere ({dead[0].error}), {lost:.1f} s lost at each new connection"
        return warn(to.name, saw, "mend IPv6 at the router, or: sudo sysctl net.ipv6.conf.all.disable_ipv6=1")
    return ok(to.name, f"{where}: {len(good)} of {len(knocks)} addresses, {good[0].seconds * 1000:.0f} ms")


def handshake(to: Way, address: str, *, synchronised: bool, seconds: float) -> Check:
    """TLS with the server, through the proxy if there is one, and what its certificate says."""
    name = "tls" if to.name == "network" else f"{to.name} tls"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(to.ca_file)
        with socket.create_connection((address, to.hop[1]), timeout=seconds) as plain:
            refused = _tunnel(plain, to) if to.hop != (to.host, to.port) else ""
            if refused:
                return fail(name, f"the proxy does not let us through: {refused}", "check uplink.proxy, and its rules")
            with context.wrap_socket(plain, server_hostname=to.host) as tls:
                until = ssl.cert_time_to_seconds(str((tls.getpeercert() or {})["notAfter"]))
                return _verified(name, to, str(tls.version()), datetime.fromtimestamp(until, UTC))
    except OSError as error:
        return judge_tls(name, to, error, synchronised=synchronised)


def _tunnel(plain: socket.socket, to: Way) -> str:
    """Ask the proxy for the way on; gives what it said instead of 200."""
    plain.sendall(f"CONNECT {to.host}:{to.port} HTTP/1.1\r\nHost: {to.host}:{to.port}\r\n\r\n".encode())
    said = b""
    while b"\r\n\r\n" not in said and len(said) < 8192:
        more = plain.recv(1)  # no byte of the handshake behind it
        if not more:
            break
        said += more
    first = said.partition(b"\r\n")[0].decode("latin-1")
    return "" if first.split(" ")[1:2] == ["200"] else first or "it hung up"


def _verified(name: str, to: Way, version: str, until: datetime) -> Check:
    days = (until - datetime.now(UTC)).days
    saw = f"{version}, {to.host} proves who it is, until {until:%Y-%m-%d}"
    if days < SOON_DAYS:
        return warn(name, f"{saw}: {days} days", f"its owner must renew the certificate of {to.host}")
    return ok(name, saw)


def judge_tls(name: str, to: Way, error: OSError, *, synchronised: bool) -> Check:
    """What a handshake that failed means."""
    look = f"openssl s_client -connect {to.host}:{to.port} -servername {to.host} -CAfile {to.ca_file} </dev/null"
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else None
    reason = getattr(error, "reason", None) or ""
    if code == NOT_YET or (code == EXPIRED and not synchronised):
        what = "not yet valid" if code == NOT_YET else "expired"
        saw = f"the server's certificate is {what} by this device's clock, which says {datetime.now(UTC):%Y-%m-%d}"
        return fail(name, saw, "timedatectl set-ntp true; timedatectl status")
    if code == EXPIRED:
        return fail(name, "the server's certificate has expired, and this clock is right", f"tell its owner; {look}")
    if code in NOBODY:
        saw = f"nobody in {to.ca_file} vouches for the server: somebody intercepts the connection, or it has another CA"
        return fail(name, saw, f"who signed it: {look}; a CA of your own: ca_file")
    if code in OTHER_NAME:
        saw = f"the server's certificate is not for {to.host}: another server answers, or the URL is wrong"
        return fail(name, saw, look)
    if code is not None:
        return fail(name, f"the server's certificate does not verify: {error}", look)
    if "ALERT" in reason:  # it asks for a client certificate in the handshake; the next line shows ours
        return ok(name, f"{to.host} wants a certificate at once ({reason})")
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"}:
        saw = f"{to.host} port {to.port} does not speak TLS: the login page of a network (a portal), or a wrong port"
        return fail(name, saw, f"log in to that network with a browser; curl -v http://{to.host}:{to.port}")
    saw = f"the connection ends in the handshake: {error.strerror or error}"
    return fail(name, saw, f"a firewall that looks into TLS? {look}")
