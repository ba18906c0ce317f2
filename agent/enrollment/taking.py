"""From an issued certificate to the pair in force: checked, shown to the shield, and switched to in one rename."""

import logging

from agent import pem
from agent.certificate import parse
from agent.enrollment.patience import Patience
from agent.enrollment.records import Probe, Report, Seen, Wish
from agent.enrollment.standing import current, meta_of
from agent.errors import AgentError, TryLater
from agent.identity import Identity, IdentityState
from agent.identity_store import IdentityStore
from agent.issuers import Issuer

log = logging.getLogger(__name__)


def take(
    wish: Wish,
    store: IdentityStore,
    pending: tuple[bytes, bytes, bytes],
    *,
    before: Identity,
    probe: Probe,
    patience: Patience,
    report: Report,
) -> Seen:
    """Make the pending key, request and certificate the pair in force; gives what the shield said of it.

    Raises TryLater, and the pair before stays, when the shield takes that one and not yet the new one.
    """
    key, request, certificate = pending
    notes = pem.check_issued(certificate, request_pem=request, now=patience.now(), validity_days=wish.validity_days)
    for note in notes:
        log.warning("certificate not quite as asked", extra={"NOTE": note})
    report.done("check", "; ".join(notes) or "same key, in date, may authenticate a client")
    new = store.request.directory
    seen = probed((str(new / "certificate.pem"), str(new / "key.pem")), before, probe, report)
    meta = meta_of(certificate, store.request.part("issued.json"))
    generation = store.commit(key=key, certificate=wish.here.line() + certificate, meta=meta)
    store.place(wish.cert_file, wish.key_file)
    store.request.forget()
    proof = current(wish, now=patience.now())
    if proof.pair is None:
        raise AgentError(
            f"the new pair does not load: {proof.detail}", hint="report this: it was checked before the switch"
        )
    report.state, report.changed, report.certificate = "enrolled", True, parse(certificate)
    report.done("switch", f"{wish.cert_file} and {wish.key_file} lead to {generation}")
    return seen


def settle(store_meta: dict[str, object], issuer: Issuer | None, pair: tuple[str, str], report: Report) -> None:
    """Let the issuer know that the certificate before is no longer needed; what goes wrong is told and harmless."""
    old_id = str(store_meta.get("issuer_id") or "") if issuer and store_meta.get("issuer") == issuer.name else ""
    try:
        done = issuer.settle(old_id=old_id, pair=pair) if issuer else ""
    except AgentError as error:
        log.warning("certificate before not given back", extra={"REASON": str(error)})
        report.done("settle", f"the certificate before may still be in force: {error}")
        return
    if done:
        report.done("settle", done)


def probed(new: tuple[str, str], before: Identity, probe: Probe, report: Report) -> Seen:
    """What the shield makes of the new pair, asked only while there is a valid one that could stay instead.

    Raises TryLater when it takes that one and not the new one.
    """
    if before.state is not IdentityState.ACTIVE or before.pair is None:
        return Seen.UNKNOWN
    seen = probe(new)
    if seen is Seen.REFUSED and probe(before.pair) is Seen.ACCEPTED:
        raise TryLater(
            "the shield does not take the new certificate yet, and takes the one in force, which stays",
            hint="run it again later; if it goes on: is the issuer's authority the one that the shield trusts?",
        )
    report.done("probe", {Seen.ACCEPTED: "the shield takes the new pair"}.get(seen, "the shield could not tell"))
    return seen
