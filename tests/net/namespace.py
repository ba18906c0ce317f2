"""Network namespaces: a network of one's own, for root."""

import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWNET = 0x40000000  # linux/sched.h
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1  # linux/sockios.h, linux/if.h


def enter_own_network() -> bool:
    """Move this thread (and what it starts) to a fresh network without any way out; False where that is forbidden."""
    return ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0 and os.geteuid() == 0


def bring_up(interface: str) -> None:
    """Set the interface up, as `ip link set dev … up`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", interface.encode(), 0)
        flags = struct.unpack("16xh14x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))[0]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", interface.encode(), flags | IFF_UP))
