"""The pair in force, and the way back to an earlier one."""

import json
import logging
from datetime import datetime
from pathlib import Path

from agent.binding import bound_to
from agent.certificate import Certificate, parse
from agent.enrollment.records import Probe, Report, Seen, Wish
from agent.errors import ENROLL, IdentityError
from agent.identity import Identity, IdentityState, load, paths
from agent.identity_store import IdentityStore

log = logging.getLogger(__name__)


def current(wish: Wish, *, now: datetime) -> Identity:
    """The pair at the configured places."""
    return load(paths(str(wish.cert_file), str(wish.key_file), {}), now=now, here=wish.here)


def recovered(wish: Wish, store: IdentityStore, *, now: datetime, report: Report) -> Identity:
    """The pair in force after what an earlier run or somebody's hand left undone is put right.

    A switch that was cut off is finished, a damaged pair gives way to an earlier one that is whole, and a pair
    whose card or board was changed is bound to what is here now.
    """
    found = current(wish, now=now)
    generation = store.current()
    if found.state is IdentityState.MISSING and generation is not None:
        if _of(generation, wish, now=now).pair is not None:
            store.check_places(wish.cert_file, wish.key_file)
            store.place(wish.cert_file, wish.key_file)
            found = current(wish, now=now)
    elif found.state is IdentityState.BROKEN and store.leads_here(wish.cert_file):
        earlier = _last_good(wish, store, now=now)
        if earlier is not None:
            store.switch(earlier)
            log.error("identity damaged, the one before is used", extra={"REASON": found.detail, "PAIR": earlier.name})
            report.done("recovery", f"{found.detail}; {earlier.name} is in force again")
            found = current(wish, now=now)
    if found.certificate is not None and certificate_in(store.request.part("certificate.pem")) == found.certificate:
        store.request.forget()  # cut off between the switch and this: that request is done
    if found.pair is not None and found.moved and store.leads_here(wish.cert_file):
        log.warning("board or card changed, identity bound anew", extra={"CHANGED": found.moved})
        report.done("board", f"another {found.moved} than before: bound to this one")
        _bind_anew(wish, store, found.pair)
        found = current(wish, now=now)
    return found


def _bind_anew(wish: Wish, store: IdentityStore, pair: tuple[str, str]) -> None:
    text = Path(pair[0]).read_bytes()
    bound = bound_to(text)
    plain = text.replace(bound.line(), b"") if bound else text
    meta = {**store.meta(), "board": wish.here.line().decode().strip()}
    store.commit(key=Path(pair[1]).read_bytes(), certificate=wish.here.line() + plain, meta=meta)


def roll_back(wish: Wish, store: IdentityStore, *, now: datetime, report: Report) -> None:
    """Make the latest earlier pair that may be used the one in force. Raises IdentityError if there is none."""
    with store.lock():
        store.check_places(wish.cert_file, wish.key_file)
        roll_back_to_earlier(wish, store, now=now, report=report)


def roll_back_to_earlier(wish: Wish, store: IdentityStore, *, now: datetime, report: Report) -> None:
    """`roll_back` for whoever holds the lock."""
    earlier = _last_good(wish, store, now=now)
    if earlier is None:
        raise IdentityError(f"{store.directory} holds no earlier pair that is valid here", hint=f"{ENROLL} --force")
    store.switch(earlier)
    store.place(wish.cert_file, wish.key_file)
    report.state, report.changed, report.certificate = "enrolled", True, current(wish, now=now).certificate
    report.done("rollback", f"{earlier.name} is in force")


def went_wrong(wish: Wish, store: IdentityStore, found: Identity, probe: Probe, *, now: datetime) -> bool:
    """Whether the shield refuses the pair in force and accepts the one before."""
    earlier = _last_good(wish, store, now=now)
    if earlier is None or found.pair is None or probe(found.pair) is not Seen.REFUSED:
        return False
    return probe((str(earlier / "cert.pem"), str(earlier / "key.pem"))) is Seen.ACCEPTED


def certificate_in(text: bytes | None) -> Certificate | None:
    """What the certificate of a text says; None if there is none."""
    try:
        return parse(text or b"")
    except ValueError:
        return None


def meta_of(certificate: bytes, issued: bytes | None, wish: Wish) -> dict[str, object]:
    """What is noted beside a pair: who issued it under which id, and what it says."""
    says = parse(certificate)
    return {
        **json.loads(issued or b"{}"),
        "name": says.name,
        "serial": says.serial,
        "fingerprint_sha256": says.fingerprint_sha256,
        "not_before": says.not_before.isoformat(),
        "not_after": says.not_after.isoformat(),
        "board": wish.here.line().decode().strip(),
    }


def _last_good(wish: Wish, store: IdentityStore, *, now: datetime) -> Path | None:
    """The latest generation before the one in force that is valid on this board."""
    good = (each for each in store.earlier() if _of(each, wish, now=now).state is IdentityState.ACTIVE)
    return next(good, None)


def _of(generation: Path, wish: Wish, *, now: datetime) -> Identity:
    return load((str(generation / "cert.pem"), str(generation / "key.pem")), now=now, here=wish.here)
