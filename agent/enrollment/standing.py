"""The pair in force, and the way back to an earlier one."""

import json
import logging
from datetime import datetime
from pathlib import Path

from agent.binding import bound_to
from agent.certificate import Certificate, parse
from agent.enrollment.records import Probe, Report, Seen, Wish, unprobed
from agent.errors import ENROLL, IdentityError
from agent.identity import Identity, IdentityState, load, paths
from agent.identity_store import IdentityStore

log = logging.getLogger(__name__)


def current(wish: Wish, *, now: datetime) -> Identity:
    """The pair at the configured places."""
    return load(paths(str(wish.cert_file), str(wish.key_file), {}), now=now, here=wish.here)


def recovered(wish: Wish, store: IdentityStore, *, now: datetime, report: Report) -> Identity:
    """The pair in force after what an earlier run or somebody's hand left undone is put right.

    A switch that was cut off is finished, a pair that is damaged or gone gives way to an earlier one that is whole,
    and a pair whose card or board was changed is bound to what is here now.
    """
    found = current(wish, now=now)
    ours = store.leads_here(wish.cert_file)
    if found.state is IdentityState.MISSING or (found.state is IdentityState.BROKEN and ours):
        generation = store.current()
        if generation is None or _of(generation, wish, now=now).pair is None:
            generation = next(iter(_good(wish, store.earlier(), now=now)), None)
        if generation is not None:
            store.check_places(wish.cert_file, wish.key_file)
            if generation != store.current():
                store.switch(generation)
                if ours:  # else a first enrollment was cut off just before its switch
                    name = generation.name
                    log.error("identity damaged, the one before is used", extra={"REASON": found.detail, "PAIR": name})
                    report.done("recovery", f"{found.detail}; {name} is in force again")
            store.place(wish.cert_file, wish.key_file)
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
    store.rebind(wish.here.line() + (text.replace(bound.line(), b"") if bound else text))


def roll_back(wish: Wish, store: IdentityStore, *, now: datetime, report: Report, probe: Probe = unprobed) -> None:
    """Make the latest earlier pair that may be used the one in force. Raises IdentityError if there is none.

    One that the shield refuses may not be used: it has been revoked since, and the one in force would be lost for it.
    """
    with store.lock():
        store.check_places(wish.cert_file, wish.key_file)
        earlier = _good(wish, store.earlier(), now=now)
        taken = next((each for each in earlier if probe(_pair(each)) is not Seen.REFUSED), None)
        if taken is None:
            why = "that the shield takes" if earlier else "that is valid here"
            raise IdentityError(f"{store.directory} holds no earlier pair {why}", hint=f"{ENROLL} --force")
        put_in_force(taken, wish, store, now=now, report=report)


def put_in_force(generation: Path, wish: Wish, store: IdentityStore, *, now: datetime, report: Report) -> None:
    """Make that pair the one in force."""
    store.switch(generation)
    store.place(wish.cert_file, wish.key_file)
    report.state, report.changed, report.certificate = "enrolled", True, current(wish, now=now).certificate
    report.done("rollback", f"{generation.name} is in force")


def accepted_instead(wish: Wish, store: IdentityStore, found: Identity, probe: Probe, *, now: datetime) -> Path | None:
    """A pair that the shield accepts while it refuses the one in force: one before, or one that was gone back from."""
    if found.pair is None or not store.leads_here(wish.cert_file):
        return None
    others = [each for each in reversed(store.generations()) if each != store.current()]
    others = _good(wish, others, now=now)
    if not others or probe(found.pair) is not Seen.REFUSED:
        return None
    return next((each for each in others if probe(_pair(each)) is Seen.ACCEPTED), None)


def certificate_in(text: bytes | None) -> Certificate | None:
    """What the certificate of a text says; None if there is none."""
    try:
        return parse(text or b"")
    except ValueError:
        return None


def meta_of(certificate: bytes, issued: bytes | None) -> dict[str, object]:
    """What is noted beside a pair: who issued it under which id, and what it says."""
    says = parse(certificate)
    return {
        **json.loads(issued or b"{}"),
        "name": says.name,
        "serial": says.serial,
        "fingerprint_sha256": says.fingerprint_sha256,
        "not_before": says.not_before.isoformat(),
        "not_after": says.not_after.isoformat(),
    }


def _good(wish: Wish, generations: list[Path], *, now: datetime) -> list[Path]:
    """Those that are valid on this board."""
    return [each for each in generations if _of(each, wish, now=now).state is IdentityState.ACTIVE]


def _of(generation: Path, wish: Wish, *, now: datetime) -> Identity:
    return load(_pair(generation), now=now, here=wish.here)


def _pair(generation: Path) -> tuple[str, str]:
    return str(generation / "cert.pem"), str(generation / "key.pem")
