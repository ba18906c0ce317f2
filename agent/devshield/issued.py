"""Every certificate that was issued, one JSON file for each, so that a restarted shield still knows them.

As at Cloudflare nothing is ever deleted: a certificate is revoked, and revoked ones can be put in force again.
Both take a moment to reach the edge.
"""

import hashlib
import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from agent import pem
from agent.devshield.authority import DEVELOPMENT, Authority

PENDING_SECONDS: Final = 1.0  # at Cloudflare over 90 s were seen
AUTHORITY_ID: Final = str(uuid.uuid5(uuid.NAMESPACE_DNS, "devshield.invalid"))
STATUSES: Final = ("active", "pending_reactivation", "pending_revocation", "revoked")


@dataclass(frozen=True, slots=True)
class Issue:
    """`fields` are the API's, without the status. `since` is when `revoked` last changed (UNIX seconds).

    `owner` is the SHA-256 of the one-time token that it was issued for; empty for the zone's own token.
    """

    fields: dict[str, Any]
    owner: str = ""
    revoked: bool = False
    since: float = 0.0

    def status(self, now: float) -> str:
        """In the words of the API."""
        pending = now - self.since < PENDING_SECONDS
        if self.revoked:
            return "pending_revocation" if pending else "revoked"
        return "pending_reactivation" if pending else "active"

    def result(self, now: float) -> dict[str, Any]:
        """The result object of the API."""
        return {**self.fields, "status": self.status(now)}


class Issued:
    """The certificates of one directory; `now` gives UNIX seconds. For any thread."""

    def __init__(self, directory: Path, authority: Authority, *, now: Callable[[], float]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._authority = authority
        self._now = now
        self._lock = threading.Lock()
        self._issues: dict[str, Issue] = {}
        self._by_fingerprint: dict[str, str] = {}
        for file in sorted(directory.glob("*.json")):
            self._note(Issue(**json.loads(file.read_bytes())))

    def issue(self, csr_pem: bytes, *, validity_days: int, owner: str = "") -> Issue:
        """A new certificate for the request, even when it was signed before.

        Raises ValueError if the request cannot be read or its signature does not verify.
        """
        certificate = self._authority.sign(csr_pem, validity_days=validity_days)
        issue = Issue(describe(certificate, csr_pem, validity_days=validity_days), owner)
        with self._lock:
            self._keep(issue)
        return issue

    def find(self, identifier: str) -> Issue | None:
        """The certificate of that id."""
        with self._lock:
            return self._issues.get(identifier)

    def all(self) -> list[Issue]:
        """All certificates, the latest first."""
        with self._lock:
            return list(reversed(self._issues.values()))

    def set_revoked(self, identifier: str, *, revoked: bool) -> Issue:
        """The certificate after it was revoked or put in force again; raises KeyError for an unknown id."""
        with self._lock:
            issue = replace(self._issues[identifier], revoked=revoked, since=self._now())
            self._keep(issue)
            return issue

    def is_revoked(self, fingerprint_sha256: str) -> bool:
        """Whether the edge holds the certificate for revoked: pending changes have not reached it."""
        with self._lock:
            issue = self._issues.get(self._by_fingerprint.get(fingerprint_sha256, ""))
        return issue is not None and issue.status(self._now()) in {"revoked", "pending_reactivation"}

    def _keep(self, issue: Issue) -> None:
        identifier = issue.fields["id"]
        number = list(self._issues).index(identifier) if identifier in self._issues else len(self._issues)
        file = self._directory / f"{number:06d}-{identifier}.json"
        beside = file.with_suffix(".new")
        beside.write_text(json.dumps(asdict(issue), indent=1))
        beside.replace(file)
        self._note(issue)

    def _note(self, issue: Issue) -> None:
        self._issues[issue.fields["id"]] = issue
        self._by_fingerprint[issue.fields["fingerprint_sha256"]] = issue.fields["id"]


def describe(certificate_pem: bytes, csr_pem: bytes, *, validity_days: int) -> dict[str, Any]:
    """Every field of the API's result but `status`, with a new id; the request comes back with CRLF line ends."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    begin, end = pem.validity(certificate)
    ski = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest

    def subject(oid: x509.ObjectIdentifier) -> str:
        values = certificate.subject.get_attributes_for_oid(oid)
        return str(values[0].value) if values else ""

    return {
        "id": str(uuid.uuid4()),
        "certificate_authority": {
            "id": AUTHORITY_ID,
            "name": DEVELOPMENT.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value,
        },
        "certificate": certificate_pem.decode("ascii"),
        "csr": csr_pem.decode("ascii").replace("\r\n", "\n").replace("\n", "\r\n"),
        "ski": ski.hex(),
        "serial_number": str(certificate.serial_number),
        "signature": "ECDSAWithSHA256",
        "common_name": subject(NameOID.COMMON_NAME),
        "organization": subject(NameOID.ORGANIZATION_NAME),
        "organizational_unit": subject(NameOID.ORGANIZATIONAL_UNIT_NAME),
        "country": subject(NameOID.COUNTRY_NAME),
        "state": subject(NameOID.STATE_OR_PROVINCE_NAME),
        "location": subject(NameOID.LOCALITY_NAME),
        "expires_on": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "issued_on": f"{begin:%Y-%m-%dT%H:%M:%SZ}",
        "fingerprint_sha256": certificate.fingerprint(hashes.SHA256()).hex(),
        "validity_days": validity_days,
    }


def token_name(token: str) -> str:
    """What a one-time token is called once it is spent."""
    return hashlib.sha256(token.encode()).hexdigest()
