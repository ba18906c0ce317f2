"""An issuer that signs at once, remembers what it signed, and fails as told."""

from collections.abc import Callable

from world.identities import authority

from agent.issuers import Issued
from agent.pem import same_key

Sign = Callable[[bytes], bytes]


class SigningIssuer:
    """`faults` are raised by the next calls of `issue`, oldest first; with `lost` the certificate is made all the same."""

    name = "cloudflare"
    can_renew = False

    def __init__(self, *faults: Exception, lost: bool = False, sign: Sign | None = None) -> None:
        self.faults = list(faults)
        self.lost = lost
        self.issued: list[tuple[bytes, bytes]] = []
        self.asked = 0
        self.settled: list[tuple[str, tuple[str, str]]] = []
        self.closed = 0
        self.watch: Callable[[], object] = lambda: None
        self._sign = sign or authority().sign

    def issue(self, request_pem: bytes, *, validity_days: int) -> Issued:
        del validity_days
        self.asked += 1
        self.watch()
        if not self.faults or self.lost:
            self.issued.append((request_pem, self._sign(request_pem)))
        if self.faults:
            raise self.faults.pop(0)
        return Issued(self.issued[-1][1].decode(), f"id-{len(self.issued)}")

    def find(self, request_pem: bytes) -> Issued | None:
        for number, (request, certificate) in enumerate(self.issued, 1):
            if same_key(request, request_pem):
                return Issued(certificate.decode(), f"id-{number}")
        return None

    def reach(self) -> str:
        return "it answers"

    def settle(self, *, old_id: str, pair: tuple[str, str]) -> str:
        self.settled.append((old_id, pair))
        return ""

    def close(self) -> None:
        self.closed += 1
