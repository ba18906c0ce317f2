"""What the shield's port answers: faults first, then the edge's rule, then the API; all of it is written down."""

import logging
import secrets
import threading
from collections.abc import Callable
from typing import Final

from agent.devshield.edge import Rule, admits, block_page
from agent.devshield.exchange import Outcome, Request
from agent.devshield.extended_api import ExtendedApi, Handled
from agent.devshield.faults import Fault, Faults, instead, is_kind
from agent.devshield.issued import Issued
from agent.devshield.readings import Readings
from agent.devshield.reply import Reply
from agent.devshield.request_json import is_deep
from agent.devshield.request_log import RequestLog
from agent.devshield.worker import listing, post, thrown

log = logging.getLogger(__name__)

DRIP_SECONDS: Final = 1.0


class ShieldPort:
    """Answers requests; `now` gives UNIX seconds, `stop` ends a slow fault. For any thread.

    The API is the tutorial's Worker's unless an `extended` one is given.
    """

    def __init__(
        self,
        *,
        rule: Rule,
        issued: Issued,
        readings: Readings,
        requests: RequestLog,
        faults: Faults,
        stop: threading.Event,
        now: Callable[[], float],
        extended: ExtendedApi | None = None,
    ) -> None:
        self._rule: Final = rule
        self._issued = issued
        self._readings = readings
        self._requests = requests
        self._faults = faults
        self._stop = stop
        self._now = now
        self._extended = extended

    def __call__(self, request: Request) -> Outcome:
        """What becomes of one request. Revocation counts for each request, not only for each connection."""
        fault = self._faults.take("shield", post=request.method == "POST")
        ray = f"{secrets.token_hex(8)}-DEV"
        handled = self._decide(request, fault, ray)
        self._note(request, handled, fault)
        if handled is None or is_kind(fault, "lost"):
            return Outcome(None)
        reply = handled.reply
        reply = Reply(reply.status, reply.content_type, reply.body, (("CF-Ray", ray), *reply.headers))
        if fault is not None and fault.kind == "drip":
            return Outcome(reply, byte_seconds=fault.argument or DRIP_SECONDS)
        return Outcome(reply)

    def _decide(self, request: Request, fault: Fault | None, ray: str) -> Handled | None:
        """The answer and what it stored; None when the connection drops."""
        if fault is not None and fault.kind == "slow":
            self._stop.wait(fault.argument or 1.0)
        if is_kind(fault, "drop"):
            return None
        if (reply := instead(fault)) is not None:
            return Handled(reply)
        if not admits(request.visitor, self._rule, revoked=self._issued.is_revoked(request.visitor.fingerprint_sha256)):
            return Handled(block_page(ray))
        return self._worker(request) if self._extended is None else self._extended.answer(request)

    def _worker(self, request: Request) -> Handled:
        if request.method != "POST":
            return Handled(listing(self._readings.of(request.address)))
        self._readings.meet(request.address)
        reply, reading = post(request.body)
        if is_deep(reading):
            return Handled(thrown("RangeError: Maximum call stack size exceeded"))
        if reading is None:
            return Handled(reply)
        refusal = self._readings.add(request.address, reading, limited=self._faults.kv_limited())
        return Handled(thrown(refusal)) if refusal else Handled(reply, stored=1)

    def _note(self, request: Request, handled: Handled | None, fault: Fault | None) -> None:
        status = handled.reply.status if handled else None
        body = handled.body if handled and handled.body is not None else request.body
        self._requests.add(
            {
                "time": self._now(),
                "method": request.method,
                "path": request.target,
                "status": status,
                "stored": bool(handled and handled.stored),
                "answered": handled is not None and not is_kind(fault, "lost"),
                "fault": fault.kind if fault is not None else None,
                "address": request.address,
                "verified": request.visitor.verified,
                "fingerprint_sha256": request.visitor.fingerprint_sha256 or None,
                "idempotency_key": request.headers.get("idempotency-key"),
                "results": handled.results if handled else None,
                "received_bytes": len(request.body),
                "body": body.decode("utf-8", "replace"),
            }
        )
        log.debug(
            "request", extra={"METHOD": request.method, "HTTP_STATUS": status, "VERIFIED": request.visitor.verified}
        )
