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
    RetryError,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from agent import pem
from agent.certificate import Certificate, parse
from agent.errors import AgentError, TryLater
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
        if found.state is IdentityState.ACTIVE and not force:
            report.state, report.certificate = "enrolled", found.certificate
            report.done("identity", "already enrolled; nothing was asked and no token was used")
            return
        store.check_places(wish.cert_file, wish.key_file)
        issuer = make_issuer()
        key, request = _request(wish, store, report)
        certificate = store.pending("certificate.pem")
        if certificate is None:
            certificate = _ask(
                wish, store, issuer, request, now=now, report=report, wait_seconds=wait_seconds, stop=stop
            )
        notes = pem.check_issued(certificate, request_pem=request, now=now())
        for note in notes:
            log.warning("certificate not quite as asked", extra={"NOTE": note})
        report.done("check", "; ".join(notes) or "same key, in date, may authenticate a client")
        says = parse(certificate)
        meta = {
            "issuer": issuer.name,
            "issuer_id": (store.pending("issuer_id") or b"").decode(),
            "name": says.name,
            "serial": says.serial,
            "fingerprint_sha256": says.fingerprint_sha256,
            "not_before": says.not_before.isoformat(),
            "not_after": says.not_after.isoformat(),
        }
        generation = store.commit(key=key, certificate=certificate, meta=meta)
        store.place(wish.cert_file, wish.key_file)
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
    """The pending key and request, made now unless an earlier try left them; on disk when this returns."""
    key, request = store.pending("key.pem"), store.pending("request.pem")
    if key is not None and request is not None:
        report.done("key", f"kept from an earlier try (public key {pem.public_key_sha256(request)[:16]}…)")
        return key, request
    key = pem.new_key(wish.key_type)
    request = pem.signing_request(key, name=wish.name, subject=wish.subject)
    store.keep("key.pem", key)
    store.keep("request.pem", request)
    report.done("key", f"{wish.key_type}, made on this device (public key {pem.public_key_sha256(request)[:16]}…)")
    return key, request


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
    retrying = Retrying(
        retry=retry_if_exception_type(TryLater),
        stop=stop_after_delay(wait_seconds) | stop_when_event_set(event),
        wait=wait_random_exponential(multiplier=1, max=60),
        sleep=sleep_using_event(event),
        reraise=True,
    )

    def once() -> Issued:
        asked_before = store.pending("asked.json") is not None
        earlier = issuer.find(request) if asked_before else None
        if earlier is not None:
            report.done("request", f"{issuer.name} had issued it already (id {earlier.issuer_id})")
            return earlier
        store.keep("asked.json", json.dumps({"issuer": issuer.name, "at": now().isoformat()}).encode())
        issued = issuer.issue(request, validity_days=wish.validity_days)
        report.done("request", f"{issuer.name} issued {issued.issuer_id} for {wish.name}")
        return issued

    try:
        issued = retrying(once)
    except RetryError as error:  # not with reraise=True; says so to the type checker
        raise TryLater("the issuer was not ready in time") from error
    certificate = pem.extract_certificate(issued.certificate_text)
    pem.check_issued(certificate, request_pem=request, now=now())  # before it is kept: a wrong one would stick
    store.keep("issuer_id", issued.issuer_id.encode())
    store.keep("certificate.pem", certificate)
    return certificate
