"""Nobody is asked: a person carries the request to the issuer and the certificate back."""

from typing import Final

from agent.errors import Refused
from agent.issuers import Issued

WAY: Final = "sudo sensor-agent identity export-csr OUT # have it signed, then: sudo sensor-agent identity import CERT"


class ManualIssuer:
    """Refuses to sign, and says how it is done."""

    name: Final = "manual"
    can_renew: Final = False

    def issue(self, request_pem: bytes, *, validity_days: int) -> Issued:
        """See Issuer."""
        del request_pem, validity_days
        raise Refused('enroll.issuer is "manual": a person has the request signed', hint=WAY)

    def find(self, request_pem: bytes) -> Issued | None:
        """See Issuer."""
        del request_pem
        return None

    def reach(self) -> str:
        """See Issuer."""
        return f"nobody is asked: {WAY}"

    def settle(self, *, old_id: str, pair: tuple[str, str]) -> str:
        """See Issuer."""
        del old_id, pair
        return ""

    def close(self) -> None:
        """There is no connection."""
