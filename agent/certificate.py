"""What a certificate says of itself, read without `cryptography`: its 8 MiB are too many for the daemon."""

import hashlib
import re
from binascii import a2b_base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from agent.printable import printable
from agent.record import dataclass

EARLIER: Final = 1 / 20  # of the life: by up to so much a renewal comes before two thirds of it
NAME_LETTERS: Final = 255  # X.520 has 64, a DNS name 253
COMMON_NAME: Final = bytes.fromhex("550403")  # OID 2.5.4.3, X.520
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x17, 0x18, 0xA0
_ENCODINGS: Final = {0x1E: "utf-16-be", 0x1C: "utf-32-be", 0x14: "latin-1"}  # BMP-, Universal-, TeletexString


@dataclass(frozen=True, slots=True)
class Certificate:
    """`fingerprint_sha256` is of the DER form in lower-case hex; `serial` a decimal string; times are UTC."""

    name: str
    serial: str
    not_before: datetime
    not_after: datetime
    fingerprint_sha256: str

    def days_left(self, now: datetime) -> int:
        """Whole days until it expires; negative when it has."""
        return (self.not_after - now).days

    @property
    def renews_after(self) -> datetime:
        """Two thirds of its life, less up to a twentieth of it that is fixed by its name: a fleet that was enrolled
        in one afternoon does not come back in one minute, and a restart does not draw lots again.
        """
        life = self.not_after - self.not_before
        share = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:8], "big") / (1 << 64)
        return self.not_before + life * 2 / 3 - timedelta(seconds=int(life.total_seconds() * EARLIER * share))


def parse(pem: bytes) -> Certificate:
    """What the first PEM certificate of the text says (RFC 5280 §4.1).

    Raises ValueError if there is none or it is not DER of that shape.
    """
    block = _PEM.search(pem)
    if block is None:
        raise ValueError("no PEM certificate")
    der = a2b_base64(block.group(1))  # `ssl` has this too, and is a tenth of the CPU to the first sample
    try:
        [(_, certificate)] = _elements(der)
        tbs = list(_elements(next(_elements(certificate))[1]))
        if tbs[0][0] == _VERSION:
            tbs = tbs[1:]
        serial, _signature, _issuer, validity, subject = (content for _, content in tbs[:5])
        begin, end = (_time(tag, content) for tag, content in _elements(validity))
        return Certificate(
            name=_common_name(subject),
            serial=str(int.from_bytes(serial, "big")),
            not_before=begin,
            not_after=end,
            fingerprint_sha256=hashlib.sha256(der).hexdigest(),
        )
    except (IndexError, StopIteration, UnicodeDecodeError) as error:
        raise ValueError(f"not an X.509 certificate ({error})") from error


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each DER element in a row (X.690 §8.1); raises ValueError if one is cut short."""
    place = 0
    while place < len(der):
        tag, length, place = der[place], der[place + 1], place + 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(der[place : place + size], "big")
            place += size
        if place + length > len(der):
            raise ValueError("not an X.509 certificate (cut short)")
        yield tag, der[place : place + length]
        place += length


def _time(tag: int, content: bytes) -> datetime:
    text = content.decode("ascii")
    if tag == _UTC_TIME:  # RFC 5280 §4.1.2.5.1: 50…99 are of the last century
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError(f"not an X.509 certificate (time of type {tag:#x})")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _common_name(subject: bytes) -> str:
    for _, relative in _elements(subject):
        for _, attribute in _elements(relative):
            (_, oid), (kind, value) = _elements(attribute)
            if oid == COMMON_NAME:
                return printable(value.decode(_ENCODINGS.get(kind, "utf-8"), "replace"), NAME_LETTERS)
    return ""
