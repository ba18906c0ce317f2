"""A device's first certificate, or another one with a new token."""

from collections.abc import Callable
from contextlib import ExitStack, closing

from agent import pem
from agent.enrollment.asking import ask, check_clock, kept, request_for
from agent.enrollment.patience import Patience
from agent.enrollment.records import Probe, Report, Seen, Wish, unprobed
from agent.enrollment.standing import current, recovered
from agent.enrollment.taking import settle, take
from agent.errors import Refused
from agent.identity import IdentityState, paths
from agent.identity_store import IdentityStore
from agent.issuers import Issuer


def enroll(
    wish: Wish,
    store: IdentityStore,
    make_issuer: Callable[[], Issuer],
    *,
    patience: Patience,
    report: Report,
    force: bool = False,
    probe: Probe = unprobed,
) -> None:
    """Leave the device with a valid pair at the two places of the wish; `report` tells what was done.

    Does nothing and asks nobody when there is one already (unless `force`): `make_issuer`, which wants the
    token, is called only when it is needed. Raises an AgentError whose exit code says who must act.
    """
    with store.lock():
        found = recovered(wish, store, now=patience.now(), report=report)
        if found.state is IdentityState.ACTIVE and not force:
            report.state, report.certificate = "enrolled", found.certificate
            report.done("identity", "already enrolled; nothing was asked and no token was used")
            return
        store.check_places(wish.cert_file, wish.key_file)
        before = store.meta() if found.state in {IdentityState.ACTIVE, IdentityState.EXPIRED} else {}
        key, request = request_for(wish, store, report, shared=found.state is not IdentityState.ACTIVE)
        certificate = kept(store, request, patience=patience)
        with ExitStack() as undo:
            issuer = None
            if certificate is None:
                issuer = undo.enter_context(closing(make_issuer()))
                try:
                    certificate = ask(wish, store, issuer, request, patience=patience, report=report)
                except Refused as error:
                    if store.request.stage() is not None:
                        raise
                    report.done("key", str(error), ok=False)  # the token may be for another
                    key, request = request_for(wish, store, report)
                    certificate = ask(wish, store, issuer, request, patience=patience, report=report)
            seen = take(
                wish, store, (key, request, certificate), before=found, probe=probe, patience=patience, report=report
            )
            if seen is Seen.ACCEPTED:
                settle(before, issuer, paths(str(wish.cert_file), str(wish.key_file), {}), report)


def rehearse(
    wish: Wish,
    store: IdentityStore,
    make_issuer: Callable[[], Issuer],
    *,
    patience: Patience,
    report: Report,
    force: bool = False,
) -> None:
    """Go through an enrollment up to the question that the issuer would answer with a certificate.

    Writes nothing and spends no token. Raises what `enroll` would.
    """
    found = current(wish, now=patience.now())
    report.state, report.certificate = found.state.value, found.certificate
    if found.state is IdentityState.ACTIVE:
        report.done("identity", "a valid certificate is in force: enroll does nothing without --force")
        if not force:
            return
    else:
        report.done("identity", found.detail)
    store.check_places(wish.cert_file, wish.key_file, make=False)
    report.done("places", f"{wish.cert_file} and {wish.key_file} can be written")
    check_clock(store, patience)
    report.done("clock", f"{patience.now():%Y-%m-%d %H:%M} UTC can be true")
    request = pem.signing_request(pem.new_key(wish.key_type), name=wish.name, subject=wish.subject)
    report.done("request", f"{wish.key_type}, for {wish.name}, {wish.validity_days} days; not sent\n{request.decode()}")
    with closing(make_issuer()) as issuer:
        report.done("issuer", f"{issuer.name}: {issuer.reach()}; nothing was asked of it")
