"""The question to the issuer: asked again while that may help, and never for a second certificate of one key.

Key and request are on disk before the issuer hears of them, so an answer that got lost is asked for again with
the same key, and looked for in the issuer's list before it is asked for.
"""

import json
import re
from datetime import UTC, datetime
from typing import Final

from agent import BUILD_EPOCH, pem
from agent.binding import Board, Match, bound_to, compare
from agent.enrollment.patience import Patience, patiently
from agent.enrollment.records import Report, Wish
from agent.enrollment.standing import certificate_in
from agent.errors import Refused, TryLater, UnusableAnswer
from agent.identity_store import IdentityStore
from agent.issuers import Issued, Issuer

# held while the issuer is asked, and given back by writing `issued.json`: a disk that fills up meanwhile loses no answer
ROOM_FOR: Final = "issued.json.new"
ROOM_BYTES: Final = 65_536  # a chain of twenty certificates
SLOW_SECONDS: Final = 86_400  # a certificate that begins this much later than the clock says was accepted, too
ASKED: Final = {"waiting", "issued"}  # stages of a request that an issuer has seen
# what an issuer says of a key or a request that no token can help; the words are the registration authority's
NEVER: Final = re.compile("the key is (refused|revoked|replaced|another's)|csr: the (token|certificate) is for")


def request_for(
    wish: Wish, store: IdentityStore, report: Report, *, like: bytes | None = None, shared: bool = True
) -> tuple[bytes, bytes]:
    """The pending key and request, made now unless an earlier try for the same left them; on disk when this returns.

    `like` is the certificate that is renewed: the request repeats its names. `shared`: `enroll` and `renew` go on with
    one another's. Not where a valid pair renews itself: its issuer knows the other key as the token's.
    """
    names = certificate_in(like)
    words: list[object] = [wish.name, wish.key_type, wish.subject, names.name if names else ""]
    key, request = store.request.part("key.pem"), store.request.part("request.pem")
    whole = key is not None and request is not None and pem.belong_together(key, request)
    if key and request and whole and _same(store, words, wish.here, shared=shared):
        report.done("key", f"kept from an earlier try (public key {pem.public_key_sha256(request)[:16]}…)")
        return key, request
    if store.request.stage() in ASKED:
        report.done("request", "one already sent is dropped; an enrollment by token then needs a new token", ok=False)
    store.request.forget()
    key = pem.new_key(wish.key_type)
    request = pem.signing_request(key, name=wish.name, subject=wish.subject, like=like)
    store.request.keep("key.pem", key)
    store.request.keep("request.pem", request)
    wanted = json.dumps([*words, wish.here.line().decode()]).encode()
    store.request.keep("wanted.json", wanted)  # last: without it the other two are not used
    report.done("key", f"{wish.key_type}, made on this device (public key {pem.public_key_sha256(request)[:16]}…)")
    return key, request


def _same(store: IdentityStore, words: list[object], here: Board, *, shared: bool) -> bool:
    """Whether the pending one is for these words, and not of the board that this one's card is a copy of.

    The last word, the name in the certificate that is renewed, does not count in one that is shared once an issuer was
    asked: the token may be bound to its key by now.
    """
    until = 3 if shared and store.request.stage() in ASKED else 4
    try:
        *before, line = json.loads(store.request.part("wanted.json") or b"[]")
        return before[:until] == words[:until] and compare(bound_to(line.encode()), here) is not Match.CLONED
    except (ValueError, TypeError, AttributeError):
        return False


def kept(store: IdentityStore, request: bytes, *, patience: Patience) -> bytes | None:
    """The certificate that an earlier try was cut off with, if it is still of use; waits for a clock behind it."""
    if _held(store, request, now=patience.now()) is None:
        return None
    patiently(lambda: _check_dates(store, patience), patience)
    return _held(store, request, now=patience.now())


def ask(
    wish: Wish, store: IdentityStore, issuer: Issuer, request: bytes, *, patience: Patience, report: Report
) -> bytes:
    """The certificate as clean PEM, kept in the store; tries again for as long as there is patience and it may help."""

    def issued() -> Issued:
        asked_before = store.request.part("asked.json") is not None
        earlier = issuer.find(request) if asked_before else None
        if earlier is not None and _is_usable(earlier.certificate_text, request, now=patience.now()):
            report.done("request", f"{issuer.name} had issued it already (id {earlier.issuer_id})")
            return earlier
        if store.request.part(ROOM_FOR) is None:
            store.request.keep(ROOM_FOR, bytes(ROOM_BYTES))  # on a full disk nobody is asked
        store.request.keep("asked.json", json.dumps({"issuer": issuer.name, "at": patience.now().isoformat()}).encode())
        try:
            issued = issuer.issue(request, validity_days=wish.validity_days)
        except Refused as error:
            if NEVER.search(str(error)):
                store.request.forget()  # room for another
            raise
        report.done("request", f"{issuer.name} issued {issued.issuer_id or 'a certificate'} for {wish.name}")
        return issued

    def once() -> bytes:
        _check_dates(store, patience)
        certificate = _held(store, request, now=patience.now())
        if certificate is None:
            answer = issued()
            certificate = pem.extract_chain(answer.certificate_text, request_pem=request)
            pem.check_issued(certificate, request_pem=request, now=patience.now())  # a wrong one would stick
            told = {"issuer": issuer.name, "issuer_id": answer.issuer_id}
            store.request.keep("issued.json", json.dumps(told).encode())
            store.request.keep("certificate.pem", certificate)
            _check_dates(store, patience)  # also by what this one says
        return certificate

    return patiently(once, patience)


def check_clock(store: IdentityStore, patience: Patience) -> None:
    """Raises TryLater while the clock is before this code, or, unless it is set, before a certificate that was got.

    Not asked of TLS: with a clock in the past every server's certificate is not yet valid, and that says nothing.
    """
    now, past = patience.now(), datetime.fromtimestamp(BUILD_EPOCH, UTC)
    got = [generation / "cert.pem" for generation in store.generations()]
    for file in () if patience.clock_is_set() else (*got, store.request.directory / "certificate.pem"):
        try:
            says = certificate_in(file.read_bytes())
        except OSError:
            continue
        past = max(past, says.not_before) if says else past
    if (past - now).total_seconds() > SLOW_SECONDS:
        raise TryLater(
            f"this device's clock says {now:%Y-%m-%d}, and it is {past:%Y-%m-%d} at least: nobody is asked meanwhile",
            hint="timedatectl set-ntp true; timedatectl # or enroll --wait SECONDS; if this clock is right: "
            "sudo sensor-agent identity reset",
        )


def _check_dates(store: IdentityStore, patience: Patience) -> None:
    """As `check_clock`; raises UnusableAnswer, and makes room for another, where it is the pending certificate that is wrong."""
    check_clock(store, patience)
    says, now = certificate_in(store.request.part("certificate.pem")), patience.now()
    if says and (says.not_before - now).total_seconds() > SLOW_SECONDS:
        store.request.forget()  # with its key: an issuer may answer the same again for the same
        raise UnusableAnswer(
            f"the certificate begins on {says.not_before:%Y-%m-%d}, and it is {now:%Y-%m-%d}: it was dropped",
            hint="set the issuer's clock; then run it again, with a new token if that one was for once",
        )


def _held(store: IdentityStore, request: bytes, *, now: datetime) -> bytes | None:
    certificate = store.request.part("certificate.pem")
    return certificate if certificate is not None and _is_usable(certificate, request, now=now) else None


def _is_usable(certificate_text: bytes | str, request: bytes, *, now: datetime) -> bool:
    try:
        certificate = pem.extract_chain(certificate_text, request_pem=request)
        pem.check_issued(certificate, request_pem=request, now=now)
    except UnusableAnswer:
        return False
    return True
