"""Requests and answers of the registration authority: Cloudflare's shape, with a one-time token or an old certificate.

    POST …/client_certificates  Bearer token    a new device: 200, or 202 and Retry-After until it is approved
    POST …/client_certificates  certificate     a renewal for the same name and a new key
    GET  …/client_certificates  either          one's own certificate; whoever shows it, has it

A lost answer, ours or the signer's, costs nothing: whoever asks again gets the same.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs

from agent.certificate import parse
from agent.devshield import request_json
from agent.devshield.exchange import Request
from agent.devshield.registration.admission import Application, Forbidden, admit
from agent.devshield.registration.issuance import Issuance
from agent.devshield.registration.ledger import Ledger
from agent.devshield.registration.policy import NotAllowed, Policy, examine
from agent.devshield.registration.records import Entry, Token
from agent.devshield.registration.signers import Signer
from agent.devshield.reply import Reply, envelope, failure
from agent.devshield.request_target import path_and_query
from agent.devshield.routes import Routes
from agent.errors import AgentError, TryLater

log = logging.getLogger(__name__)

PATH: Final = "/client/v4/client_certificates"
ROUTES: Final = Routes({PATH: ("GET", "POST")})
OPERATOR_SECONDS: Final = 600  # the signer refuses: that takes a person
UNKNOWN: Final = "the token is not known"


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
        self._issuance = Issuance(ledger, signer, days=policy.days, trust=trust)
        self._approve = approve
        self._retry_seconds = retry_seconds
        self._approval_seconds = approval_seconds
        self._now = now

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
        if own is None or own.state != "issued" or page != "1":
            return _page()
        return self._certificate(own, _page)

    def _caller(self, request: Request) -> Token | Entry | Reply:
        """Who asks: the token shown, else the certificate, which counts as seen from now on."""
        authorization = request.headers.get("authorization")
        if authorization is not None:
            kind, _, text = authorization.partition(" ")
            token = self._ledger.token(text) if kind == "Bearer" else None
            return token or _forbidden(UNKNOWN)
        if not request.visitor.fingerprint_sha256:
            return failure(400, 9106, "Missing Authorization header, or a client certificate")
        entry = self._ledger.certified(request.visitor.fingerprint_sha256)
        if entry is not None and entry.state in {"issued", "replaced"} and entry.not_after > self._now():
            entry = entry if entry.seen or entry.state == "replaced" else self._issuance.seen(entry)
            if entry is not None:
                return entry
        return _forbidden("the client certificate is not in force")

    def _post(self, caller: Token | Entry, body: bytes) -> Reply:
        try:
            applicant = examine(request_json.read(body)["csr"].encode("ascii"))
        except NotAllowed as error:
            return failure(400, 1400, str(error))
        except (ValueError, TypeError, KeyError, AttributeError):
            return failure(400, 6007, 'Malformed body: {"csr": PEM} is needed')
        with self._ledger.changing():
            now = self._ledger.again(caller)
            if now is None:
                return _forbidden(UNKNOWN)
            known = self._ledger.entry(applicant.key)
            application = Application(applicant, known, self._ledger.named(applicant.name))
            try:
                entry = admit(now, application, self._policy, approve=self._approve, now=self._now())
            except NotAllowed as error:
                return failure(400, 1400, str(error))
            except Forbidden as error:
                return _forbidden(error)
            if isinstance(now, Token) and not now.key:
                self._ledger.keep_token(replace(now, key=applicant.key))
            if known is None:
                self._ledger.add(entry)
        if entry.state != "waiting":
            return self._certificate(entry, envelope)
        if known is None:
            log.info("approval awaited", extra={"NAME": entry.name, "KEY": entry.key})
        shown = {"status": "waiting", "common_name": entry.name, "public_key_sha256": entry.key}
        return _later(envelope(shown, status=202), self._approval_seconds)

    def _certificate(self, entry: Entry, shown: Callable[[dict[str, Any]], Reply]) -> Reply:
        try:
            return shown(_result(self._issuance.issued(entry.key), self._policy))
        except Forbidden as error:
            return _forbidden(error)
        except TryLater as error:
            log.warning("signer not ready", extra={"NAME": entry.name, "REASON": str(error)})
            return _later(failure(503, 1100, "the issuer is not ready"), self._retry_seconds)
        except AgentError as error:
            log.warning("signer refuses", extra={"NAME": entry.name, "REASON": str(error), "HINT": error.hint})
            return _later(failure(503, 1100, "the issuer refuses; its operator was told"), OPERATOR_SECONDS)


def _forbidden(why: object) -> Reply:
    return failure(403, 10000, f"Authentication error: {why}")


def _page(*results: dict[str, Any]) -> Reply:
    number = len(results)
    return envelope(list(results), info={"page": 1, "per_page": 1, "count": number, "total_count": number})


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
