"""Key, request, certificate, in an order that a power cut may interrupt anywhere: run again, it goes on.

Key and request are on disk before the issuer hears of them, so an answer that got lost is asked for again with
the same key, and looked for in the issuer's list before it is asked for.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.wait import wait_base

from agent import pem
from agent.certificate import Certificate, parse
from agent.errors import AgentError, TryLater, UnusableAnswer
from agent.identity import Identity, IdentityState, load, paths
from agent.identity_store import IdentityStore
from agent.issuers import Issued, Issuer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to ask for. `subject` has the abbreviations C, ST, L, O, OU."""

    name: str
    key_type: str
    validity_days: int
    subject: dict[str, str]
    cert_file: Path
    key_file: Path


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an enrollment, for the person watching."""

    name: str
    ok: bool
    detail: str


@dataclass(slots=True)
class Report:
    """What `enroll` answers. `changed` is False when the device was enrolled already."""

    state: str = "failed"
    changed: bool = False
    certificate: Certificate | None = None
    steps: list[Step] = field(default_factory=list)
    watch: Callable[[Step], None] = lambda _: None  # called with each step as it is done

    def done(self, name: str, detail: str, *, ok: bool = True) -> None:
        """Add a step, and whether it went well."""
        self.steps.append(Step(name, ok=ok, detail=detail))
        self.watch(self.steps[-1])


def current(wish: Wish, *, now: datetime) -> Identity:
    """The pair in force at the configured places."""
    return load(paths(str(wish.cert_file), str(wish.key_file), {}), now=now)


def enroll(
    wish: Wish,
    store: IdentityStore,
    make_issuer: Callable[[], Issuer],
    *,
    now: Callable[[], datetime],
    report: Report,
    force: bool = False,
    wait_seconds: float = 0.0,
    stop: Event | None = None,
) -> None:
    """Leave the device with a valid pair at the two places of the wish; `report` tells what was done.

    Does nothing and asks nobody when there is one already (unless `force`): `make_issuer`, which wants the
    token, is called only when it is needed. Raises an AgentError whose exit code says who must act.
    """
    with store.lock():
        found = current(wish, now=now())
        if found.certificate is not None and _of(store.pending("certificate.pem")) == found.certificate:
            store.forget_pending()  # cut off between the switch and this: that request is done
        if found.state is IdentityState.ACTIVE and not force:
            report.state, report.certificate = "enrolled", found.certificate
            report.done("identity", "already enrolled; nothing was asked and no token was used")
            return
        store.check_places(wish.cert_file, wish.key_file)
        key, request = _request(wish, store, report)
        certificate = _kept(store, request, now=now())
        if certificate is None:
            certificate = _ask(
                wish, store, make_issuer(), request, now=now, report=report, wait_seconds=wait_seconds, stop=stop
            )
        notes = pem.check_issued(certificate, request_pem=request, now=now())
        for note in notes:
            log.warning("certificate not quite as asked", extra={"NOTE": note})
        report.done("check", "; ".join(notes) or "same key, in date, may authenticate a client")
        says = parse(certificate)
        meta = {
            **json.loads(store.pending("issued.json") or b"{}"),
            "name": says.name,
            "serial": says.serial,
            "fingerprint_sha256": says.fingerprint_sha256,
            "not_before": says.not_before.isoformat(),
            "not_after": says.not_after.isoformat(),
        }
        generation = store.commit(key=key, certificate=certificate, meta=meta)
        store.place(wish.cert_file, wish.key_file)
        store.forget_pending()
        proof = current(wish, now=now())
        if proof.pair is None:
            raise AgentError(
                f"the new pair does not load: {proof.detail}", hint="report this: it was checked before the switch"
            )
        report.state, report.changed, report.certificate = "enrolled", True, says
        report.done("switch", f"{wish.cert_file} and {wish.key_file} lead to {generation}")


def rehearse(
    wish: Wish, store: IdentityStore, make_issuer: Callable[[], Issuer], *, now: Callable[[], datetime], report: Report
) -> None:
    """Go through an enrollment up to the question that the issuer would answer with a certificate.

    Writes nothing and spends no token. Raises what `enroll` would.
    """
    found = current(wish, now=now())
    report.state, report.certificate = found.state.value, found.certificate
    report.done("identity", found.detail or "a valid certificate is in force: enroll would do nothing")
    store.check_places(wish.cert_file, wish.key_file, make=False)
    report.done("places", f"{wish.cert_file} and {wish.key_file} can be written")
    request = pem.signing_request(pem.new_key(wish.key_type), name=wish.name, subject=wish.subject)
    report.done("request", f"{wish.key_type}, for {wish.name}, {wish.validity_days} days; not sent")
    issuer = make_issuer()
    issuer.find(request)
    report.done("issuer", f"{issuer.name} answers; nothing was asked of it")


def _request(wish: Wish, store: IdentityStore, report: Report) -> tuple[bytes, bytes]:
    """The pending key and request, made now unless an earlier try for the same left them; on disk when this returns."""
    wanted = json.dumps([wish.name, wish.key_type, wish.subject]).encode()
    key, request = store.pending("key.pem"), store.pending("request.pem")
    if key is not None and request is not None and store.pending("wanted.json") == wanted:
        report.done("key", f"kept from an earlier try (public key {pem.public_key_sha256(request)[:16]}…)")
        return key, request
    store.forget_pending()
    key = pem.new_key(wish.key_type)
    request = pem.signing_request(key, name=wish.name, subject=wish.subject)
    store.keep("key.pem", key)
    store.keep("request.pem", request)
    store.keep("wanted.json", wanted)  # last: without it the other two are not used
    report.done("key", f"{wish.key_type}, made on this device (public key {pem.public_key_sha256(request)[:16]}…)")
    return key, request


def _kept(store: IdentityStore, request: bytes, *, now: datetime) -> bytes | None:
    """The certificate that an earlier try was cut off with, if it is still of use."""
    certificate = store.pending("certificate.pem")
    return certificate if certificate is not None and _is_usable(certificate, request, now=now) else None


def _is_usable(certificate_text: bytes | str, request: bytes, *, now: datetime) -> bool:
    try:
        pem.check_issued(pem.extract_certificate(certificate_text), request_pem=request, now=now)
    except UnusableAnswer:
        return False
    return True


def _of(certificate: bytes | None) -> Certificate | None:
    try:
        return parse(certificate or b"")
    except ValueError:
        return None


def _ask(
    wish: Wish,
    store: IdentityStore,
    issuer: Issuer,
    request: bytes,
    *,
    now: Callable[[], datetime],
    report: Report,
    wait_seconds: float,
    stop: Event | None,
) -> bytes:
    """The certificate as clean PEM, kept in the store; tries again for `wait_seconds` while it may help."""
    event = stop or Event()

    def once() -> Issued:
        if event.is_set():
            raise TryLater("stopped before the issuer was ready")
        asked_before = store.pending("asked.json") is not None
        earlier = issuer.find(request) if asked_before else None
        if earlier is not None and _is_usable(earlier.certificate_text, request, now=now()):
            report.done("request", f"{issuer.name} had issued it already (id {earlier.issuer_id})")
            return earlier
        store.keep("asked.json", json.dumps({"issuer": issuer.name, "at": now().isoformat()}).encode())
        issued = issuer.issue(request, validity_days=wish.validity_days)
        report.done("request", f"{issuer.name} issued {issued.issuer_id} for {wish.name}")
        return issued

    retrying = Retrying(
        retry=retry_if_exception_type(TryLater),
        stop=stop_after_delay(wait_seconds) | stop_when_event_set(event),
        wait=_Wait(wait_seconds),
        sleep=sleep_using_event(event),
        reraise=True,
    )
    issued = retrying(once)
    certificate = pem.extract_certificate(issued.certificate_text)
    pem.check_issued(certificate, request_pem=request, now=now())  # before it is kept: a wrong one would stick
    store.keep("issued.json", json.dumps({"issuer": issuer.name, "issuer_id": issued.issuer_id}).encode())
    store.keep("certificate.pem", certificate)
    return certificate


class _Wait(wait_base):
    """Full jitter up to a minute, or what the issuer asked for; never beyond the time there is."""

    def __init__(self, total: float) -> None:
        self._total = total
        self._jitter = wait_random_exponential(multiplier=1, max=60)

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = error.after if isinstance(error, TryLater) else 0.0
        left = self._total - (retry_state.seconds_since_start or 0.0)
        return max(min(asked + self._jitter(retry_state), left), 0.0)
