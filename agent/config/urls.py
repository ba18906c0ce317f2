"""URLs that an HTTP library can make something of: it raises at the others, and would do so at each start of the daemon."""

import re
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import unquote, urlsplit

# the second kind is a name, or an address of IPv4; a set up to U+10FFFF took 4.2 ms to compile, and this 0.2
HOST_AND_PORT: Final = re.compile(
    r"(?:\[([0-9A-Fa-f:.]+)(?:%[A-Za-z0-9._~-]+)?\]|([^\x00-,/:-@[-^`{-\x7f]+))(?::[0-9]{0,5})?"
)
# may stand in names beside letters, marks and digits (RFC 5892 §2.6); the hyphen has rules of its own
BESIDE: Final = dict.fromkeys(map(ord, "-\u0375\u05f3\u05f4\u06fd\u06fe\u0f0b\u200c\u200d\u2e2f\u30fb"))


def host_and_port(url: str) -> str | None:
    """What is wrong with the URL's host or port, None if nothing is or the URL is empty."""
    try:
        parts = urlsplit(url)
        found = HOST_AND_PORT.fullmatch(parts.netloc.rpartition("@")[2])
        fits = not url or (found is not None and parts.port != 0)
        if found and found[1]:
            IPv6Address(found[1])
        elif found:
            fits = fits and all(map(_is_label, found[2].removesuffix(".").split(".")))
    except ValueError:  # of urlsplit, of its port, of the address
        fits = False
    wanted = (
        "a host name or address (letters, digits, hyphens, dots; IPv6 in brackets), and a port of 1 to 65535 if any"
    )
    return None if fits else f"must have {wanted}"


def _is_label(label: str) -> bool:
    """Whether it may stand between a name's dots, by IDNA 2008 (RFC 5891 §4.2) as far as that goes without its tables."""
    if label.isascii():
        return 1 <= len(label) <= 63
    from unicodedata import normalize

    label = label.lower()
    if normalize("NFKC", label) != label or re.search("^-|^..--|-$|_", label):
        return False
    return ("a" + label.translate(BESIDE)).isidentifier() and len(label.encode("punycode")) <= 63 - len("xn--")


def login(url: str) -> str | None:
    """What is wrong with the URL's user and password; they go into a header field, and a backslash would end the host."""
    found = urlsplit(url).netloc.rpartition("@")[0]
    if "\\" not in found and all(character <= "\xff" for character in unquote(found)):
        return None
    return "must have a user and a password of Latin-1 characters, and a backslash as %5C"
