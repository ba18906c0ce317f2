"""What a server is called: the address that its clients are told, and the names that its certificate is good for."""

import contextlib
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"
SIOCGIFADDR: Final = 0x8915  # linux/sockios.h; the answer has an IPv4 address in bytes 20 to 23
IF_INET6: Final = Path("/proc/net/if_inet6")
GLOBAL: Final = "00"  # its scope: neither this host's nor one link's alone


@dataclass(frozen=True, slots=True)
class Address:
    """`told` is a host name or an address as URLs have it; `names` may hold one twice."""

    told: str
    names: tuple[str, ...]


def address_of(listen: str) -> Address:
    """That of a server which listens there, on this machine as it is now."""
    return called(listen, host=socket.gethostname(), four=_four(), six=_six())


def called(listen: str, *, host: str, four: Sequence[str], six: Sequence[str]) -> Address:
    """As `address_of`, for a machine of that name and those addresses.

    Nobody can connect to 0.0.0.0 or ::, so one of the machine's own addresses is told in its place.
    """
    every = {"": four, "0.0.0.0": four, "::": (*six, *four)}.get(listen)  # noqa: S104 - compared, not listened on
    told = listen if every is None else next(iter(every), host)
    names = "localhost", LOOPBACK, told, host, *(every or ())
    return Address(f"[{told}]" if ":" in told else told, tuple(name for name in names if name.isascii()))


def is_loopback(told: str) -> bool:
    """Whether what clients are told reaches this machine alone."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(told.strip("[]")).is_loopback
    return told == "localhost"


def _four() -> list[str]:
    """IPv4 addresses of this machine's interfaces, one each, without loopback's; none where a sandbox hides them."""
    found, interfaces = [], list[tuple[int, str]]()
    with contextlib.suppress(OSError):
        interfaces = socket.if_nameindex()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in interfaces:
            with contextlib.suppress(OSError):  # it has none
                answer = fcntl.ioctl(asked, SIOCGIFADDR, struct.pack("40s", name.encode()))
                found.append(socket.inet_ntoa(answer[20:24]))
    return [each for each in found if not ipaddress.ip_address(each).is_loopback]


def _six() -> list[str]:
    """IPv6 addresses that others can reach it by."""
    rows = [line.split() for line in IF_INET6.read_text().splitlines()] if IF_INET6.exists() else []
    return [str(ipaddress.IPv6Address(bytes.fromhex(row[0]))) for row in rows if row[3] == GLOBAL]
