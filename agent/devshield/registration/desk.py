"""Requests and answers of the registration authority: Cloudflare's shape, with a one-time token or an old certificate.

    POST …/client_certificates  Bearer token    a new device: 200, or 202 and Retry-After until it is approved
    POST …/client_certificates  certificate     a renewal for the same name and a new key
    GET  …/client_certificates  either          one's own certificate; whoever shows it, has it

Nothing is asked of the signer before it is written down, so a lost answer, ours or the signer's, costs nothing.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs

from cryptography import x509

from agent.certificate import parse
from agent.devshield import request_json
from agent.devshield.exchange import Request
from agent.devshield.registration.admission import Application, Forbidden, admit
from agent.devshield.registration.ledger import Ledger
from agent.devshield.registration.policy import NotAllowed, Policy, examine, key_of
from agent.devshield.registration.records import IN_FORCE, Entry, Token
from agent.devshield.registration.signers import Signed, Signer
from agent.devshield.reply import Reply, envelope, failure
from agent.devshield.request_target import path_and_query
from agent.devshield.routes import Routes
from agent.errors import AgentError, TryLater, UnusableAnswer

log = logging.getLogger(__name__)

PATH: Final = "/client/v4/client_certificates"
ROUTES: Final = Routes({PATH: ("GET", "POST")})
OPERATOR_SECONDS: Final = 600  # the signer refuses: that takes a person
LOCKS: Final = 256


class Desk:
    """Answers requests; `now` gives UNIX seconds, `trust` hears of each new certificate (PEM). For any thread."""

    def __init__(
        self,
        *,
        policy: Policy,
        ledger: Ledger,
        signer: Signer,
        approve: bool,
        retry_seconds: int,
        approval_seconds: int,
        now: Callable[[], float],
        trust: Callable[[str], object],
    ) -> None:
        self._policy = policy
        self._ledger = ledger
        self._signer = signer
        self._approve = approve
        self._retry_seconds = retry_seconds
        self._approval_seconds = approval_seconds
        self._now = now
        self._trust = trust
        self._locks = [threading.Lock() for _ in range(LOCKS)]

    def answer(self, request: Request) -> Reply:
        """The answer to one request."""
        path, query = path_and_query(request.target)
        route = ROUTES.find(path)
        if route is None:
            return failure(404, 7000, "No route for that URI")
        caller = self._caller(request)
        if isinstance(caller, Reply):
            return caller
        if refusal := route.refusal(request.method):
            return refusal
        if request.method == "GET":
            return self._own(caller, parse_qs(query).get("page", ["1"])[0])
        return self._post(caller, request.body)

    def _own(self, caller: Token | Entry, page: str) -> Reply:
        """The caller's own certificate, as a list of one page."""
        own = caller if isinstance(caller, Entry) else self._ledger.entry(caller.key) if caller.key else None
        shown = [_result(own, self._policy)] if own is not None and own.state == "issued" and page == "1" else []
        return envelope(shown, info={"page": 1, "per_page": 1, "count": len(shown), "total_count": len(shown)})

    def _caller(self, request: Request) -> Token | Entry | Reply:
        """Who asks: the token shown, else the certificate, which counts as seen from now on."""
        authorization = request.headers.get("authorization")
        if authorization is not None:
            kind, _, text = authorization.partition(" ")
            token = self._ledger.token(text) if kind == "Bearer" else None
            return token or failure(403, 10000, "Authentication error: the token is not known")
        if not request.visitor.fingerprint_sha256:
            return failure(400, 9106, "Missing Authorization header, or a client certificate")
        entry = self._ledger.certified(request.visitor.fingerprint_sha256)
        if entry is None or entry.state not in {"issued", "replaced"} or entry.not_after <= self._now():
            return failure(403, 10000, "Authentication error: the client certificate is not in force")
        return entry if entry.seen or entry.state == "replaced" else self._see(entry)

    def _see(self, entry: Entry) -> Entry:
        """The device has the certificate: the ones before it, of the same name, are no longer needed."""
        with self._ledger.changing():
            entry = self._ledger.keep(replace(entry, seen=True))
            older = [
                each
                for each in self._ledger.named(entry.name)
                if each.state == "issued" and each.since <= entry.since and each.key != entry.key
            ]
        for each in older:
            try:
                self._signer.revoke(each.issuer_id)
            except AgentError as error:
                log.warning("predecessor not revoked", extra={"NAME": each.name, "REASON": str(error)})
                continue
            with self._ledger.changing():
                self._ledger.keep(replace(each, state="replaced"))
            log.info("predecessor revoked", extra={"NAME": each.name, "FINGERPRINT": each.fingerprint_sha256})
        if older:
            self._ledger.write_allowed()
        return entry

    def _post(self, caller: Token | Entry, body: bytes) -> Reply:
        try:
            applicant = examine(request_json.read(body)["csr"].encode("ascii"))
        except NotAllowed as error:
            return failure(400, 1400, str(error))
        except (ValueError, TypeError, KeyError, AttributeError):
            return failure(400, 6007, 'Malformed body: {"csr": PEM} is needed')
        with self._ledger.changing():
            caller = self._ledger.again(caller)
            known = self._ledger.entry(applicant.key)
            application = Application(applicant, known, self._ledger.named(applicant.name))
            try:
                entry = admit(caller, application, self._policy, approve=self._approve, now=self._now())
            except NotAllowed as error:
                return failure(400, 1400, str(error))
            except Forbidden as error:
                return failure(403, 10000, f"Authentication error: {error}")
            if isinstance(caller, Token) and not caller.key:
                self._ledger.keep_token(replace(caller, key=applicant.key))
            if known is None:
                self._ledger.keep(entry)
        if entry.state != "waiting":
            return self._certificate(entry.key)
        if known is None:
            log.info("approval awaited", extra={"NAME": entry.name, "KEY": entry.key})
        shown = {"status": "waiting", "common_name": entry.name, "public_key_sha256": entry.key}
        return _later(envelope(shown, status=202), self._approval_seconds)

    def _certificate(self, key: str) -> Reply:
        """The one certificate of the key; two that ask at once get the same."""
        with self._locks[int(key[:2], 16)]:
            entry = self._ledger.entry(key)
            if entry is None or entry.state not in IN_FORCE:
                return failure(403, 10000, "Authentication error")
            if entry.state != "issued":
                try:
                    signed = self._signed(entry)
                except TryLater as error:
                    log.warning("signer not ready", extra={"NAME": entry.name, "REASON": str(error)})
                    return _later(failure(503, 1100, "the issuer is not ready"), self._retry_seconds)
                except AgentError as error:
                    log.warning("signer refuses", extra={"NAME": entry.name, "REASON": str(error), "HINT": error.hint})
                    return _later(failure(503, 1100, "the issuer refuses; its operator was told"), OPERATOR_SECONDS)
                entry = self._issue(key, signed)
        return envelope(_result(entry, self._policy))

    def _signed(self, entry: Entry) -> Signed:
        """The certificate of the entry's key: the one that an earlier question made, or a new one."""
        signed = self._signer.find(entry.key) if entry.state == "asked" else None
        if signed is None:
            with self._ledger.changing():
                self._ledger.keep(replace(entry, state="asked"))
            signed = self._signer.sign(entry.csr, days=self._policy.days)
        if key_of(x509.load_pem_x509_certificate(signed.certificate.encode())) != entry.key:
            raise UnusableAnswer(f"{self._signer.name}: the certificate is for another key")
        return signed

    def _issue(self, key: str, signed: Signed) -> Entry:
        says = parse(signed.certificate.encode())
        with self._ledger.changing():
            entry = self._ledger.entry(key)
            assert entry is not None  # noqa: S101 - entries are never removed
            entry = self._ledger.keep(
                replace(
                    entry,
                    # an operator may have said no meanwhile
                    state="issued" if entry.state == "asked" else entry.state,
                    certificate=signed.certificate,
                    issuer_id=signed.issuer_id or says.fingerprint_sha256[:32],
                    fingerprint_sha256=says.fingerprint_sha256,
                    not_after=says.not_after.timestamp(),
                )
            )
        self._ledger.add_allowed(entry)
        self._trust(entry.certificate)
        log.info("certificate issued", extra={"NAME": entry.name, "FINGERPRINT": entry.fingerprint_sha256})
        return entry


def _later(reply: Reply, seconds: int) -> Reply:
    return replace(reply, headers=(("Retry-After", str(seconds)),))


def _result(entry: Entry, policy: Policy) -> dict[str, Any]:
    """As the API shows a certificate, as far as a device has use for it."""
    says = parse(entry.certificate.encode())
    return {
        "id": entry.issuer_id,
        "certificate": entry.certificate,
        "csr": entry.csr,
        "common_name": entry.name,
        "serial_number": says.serial,
        "fingerprint_sha256": entry.fingerprint_sha256,
        "issued_on": f"{says.not_before:%Y-%m-%dT%H:%M:%SZ}",
        "expires_on": f"{says.not_after:%Y-%m-%dT%H:%M:%SZ}",
        "validity_days": policy.days,
        "status": "active",
    }
