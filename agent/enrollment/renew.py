"""A new key and certificate for the old certificate, from two thirds of its life on.

The daemon cannot write root's store, so it cannot go back to the pair before by itself. The new pair is therefore
shown to the shield before the switch; and if the daemon's line is held all the same, the next run of this, by the
timer, asks the shield about both pairs and goes back.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path

from agent import pem
from agent.certificate import Certificate
from agent.enrollment.asking import ask, kept, request_for
from agent.enrollment.patience import Patience
from agent.enrollment.records import Probe, Report, Seen, Wish, unprobed
from agent.enrollment.standing import accepted_instead, current, put_in_force, recovered
from agent.enrollment.taking import settle, take
from agent.errors import ENROLL, AgentError, IdentityError, Refused
from agent.identity import Identity, IdentityState
from agent.identity_store import IdentityStore
from agent.issuers import Issuer
from agent.issuers.manual import WAY
from agent.record import dataclass
from agent.renewal import WARNING_DAYS, warning

log = logging.getLogger(__name__)

ENROLL_AGAIN = f"{ENROLL} --force --token-file F"


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to make the issuer. `by_pair` is None where it cannot renew; `by_token` raises Refused without a token.

    `by_hand`: there is none, and the key of the request under way waits for a certificate that a person brings.
    """

    issuer: str
    by_pair: Callable[[tuple[str, str]], Issuer] | None
    by_token: Callable[[], Issuer]
    by_hand: bool = False


def renew(
    wish: Wish,
    store: IdentityStore,
    credentials: Credentials,
    *,
    patience: Patience,
    report: Report,
    force: bool = False,
    probe: Probe = unprobed,
    held: bool = False,
) -> None:
    """Renew what is due, or say until when it is not; `held`: the daemon reports that the shield refuses it.

    Raises IdentityError where there is nothing to renew, Refused where it takes a token, else as `enroll`.
    """
    with store.lock():
        found = recovered(wish, store, now=patience.now(), report=report)
        if found.pair is None or found.certificate is None:
            raise IdentityError(found.detail, hint=found.fix)
        report.state, report.certificate = "enrolled", found.certificate
        if held and not force and (other := accepted_instead(wish, store, found, probe, now=patience.now())):
            put_in_force(other, wish, store, now=patience.now(), report=report)
            log.warning("identity rolled back", extra={"REASON": f"the shield refuses it and takes {other.name}"})
            return
        if found.state is IdentityState.ACTIVE and not force and patience.now() < found.certificate.renews_after:
            report.done("renewal", f"not due before {found.certificate.renews_after:%Y-%m-%dT%H:%M:%SZ}")
            return
        _warn(store, found.certificate, now=patience.now())
        store.check_places(wish.cert_file, wish.key_file)
        _keep_tpm_keys(found.pair)
        _renew(wish, store, credentials, found, patience=patience, probe=probe, report=report)


def _renew(
    wish: Wish,
    store: IdentityStore,
    credentials: Credentials,
    found: Identity,
    *,
    patience: Patience,
    probe: Probe,
    report: Report,
) -> None:
    assert found.pair is not None  # noqa: S101 - renew has looked
    before, like = store.meta(), Path(found.pair[0]).read_bytes()
    with ExitStack() as undo:
        issuers = _issuers(credentials, found, now=patience.now(), report=report)

        def made() -> Issuer | None:
            issuer = next(issuers, None)
            if issuer is not None:
                undo.callback(issuer.close)
            return issuer

        issuer = None
        # before the key: without an issuer nothing is begun that nobody would end
        if (credentials.by_hand or store.request.part("certificate.pem") is None) and (issuer := made()) is None:
            return
        shared = found.state is not IdentityState.ACTIVE or credentials.by_pair is None
        key, request = request_for(wish, store, report, like=like, shared=shared)
        certificate = kept(store, request, patience=patience)
        while certificate is None:
            if issuer is None and (issuer := made()) is None:
                return
            try:
                certificate = ask(wish, store, issuer, request, patience=patience, report=report)
            except AgentError as error:
                if isinstance(error, Refused) and (issuer := made()) is not None:
                    report.done("token", str(error), ok=False)
                    if store.request.stage() is None:
                        key, request = request_for(wish, store, report, like=like)
                    continue
                if found.state is IdentityState.EXPIRED:
                    error.hint = f"{found.detail}: {ENROLL_AGAIN}"
                raise
        seen = take(
            wish, store, (key, request, certificate), before=found, probe=probe, patience=patience, report=report
        )
        new = current(wish, now=patience.now()).pair
        if seen is Seen.ACCEPTED and new is not None:
            settle(before, issuer, new, report)


def _issuers(credentials: Credentials, found: Identity, *, now: datetime, report: Report) -> Iterator[Issuer]:
    """Who is asked, the next one where one refuses; nobody while there is time to bring a token.

    By the pair in force where that renews, else by a token that lies ready.
    """
    says = found.certificate
    assert says is not None and found.pair is not None  # noqa: PT018, S101 - renew has looked
    if credentials.by_pair is not None:
        if found.state is IdentityState.EXPIRED:  # a token is sure, unless it was used; the issuer may give grace
            with suppress(Refused):
                yield credentials.by_token()
        yield credentials.by_pair(found.pair)
        return
    try:
        yield credentials.by_token()
    except Refused as error:
        again = WAY if credentials.by_hand else ENROLL_AGAIN
        end = f"the certificate {'expired' if says.not_after <= now else 'ends'} on {says.not_after:%Y-%m-%d}"
        if says.days_left(now) >= WARNING_DAYS[0]:
            report.done("renewal", f"due, but {credentials.issuer} cannot renew by itself; {end}: {again}")
            return
        raise Refused(
            f"{credentials.issuer} cannot renew by itself, and there is {error}; {end}", hint=again
        ) from error


def _warn(store: IdentityStore, says: Certificate, *, now: datetime) -> None:
    """One line in the log at each of WARNING_DAYS."""
    told = store.told()
    known = told.get("fingerprint_sha256") == says.fingerprint_sha256
    step = warning(says.days_left(now), int(told.get("days", 0)) if known else None)
    if step is not None:
        left = {"NAME": says.name, "DAYS_LEFT": says.days_left(now), "NOT_AFTER": f"{says.not_after:%Y-%m-%d}"}
        log.warning("certificate ends", extra=left)
        store.tell({"fingerprint_sha256": says.fingerprint_sha256, "days": step})


def _keep_tpm_keys(pair: tuple[str, str]) -> None:
    if pem.held_elsewhere(Path(pair[1]).read_bytes()):
        raise Refused(
            f"{pair[1]} leads to a key that a TPM or another provider holds; a renewal here would put a file in its place",
            hint="make a request with openssl req, have it signed, sudo sensor-agent identity import CERT --key KEY",
        )
