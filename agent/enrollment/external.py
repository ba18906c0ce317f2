"""A request carried out by hand, and a pair brought in by hand, whatever form it has."""

import ssl
from pathlib import Path

from agent import pem
from agent.certificate import parse
from agent.enrollment.asking import SLOW_SECONDS, request_for
from agent.enrollment.patience import Patience
from agent.enrollment.records import Probe, Report, Wish, unprobed
from agent.enrollment.standing import current, meta_of
from agent.enrollment.taking import probed
from agent.errors import IdentityError, TryLater, UnusableAnswer
from agent.identity import MISMATCH, Identity, IdentityState
from agent.identity_store import IdentityStore


def export_request(wish: Wish, store: IdentityStore, *, report: Report) -> bytes:
    """The signing request of the key that waits for its certificate, made now if none does; as PEM."""
    with store.lock():
        store.check_places(wish.cert_file, wish.key_file)
        _, request = request_for(wish, store, report)
        report.state = "waiting"
        return request


def import_pair(
    wish: Wish,
    store: IdentityStore,
    text: bytes,
    key: bytes | None,
    *,
    patience: Patience,
    report: Report,
    probe: Probe = unprobed,
) -> None:
    """Make a certificate that somebody brings the one in force, with its key.

    `text` holds it in PEM, its chain in any order, bare or inside of an issuer's JSON. The key is `key`, else the
    one in `text`, else the one of the exported request, else the one in force. A key is never opened: `ssl` says
    whether the two belong together. Raises UnusableAnswer if none of the certificates is for the key, or it may
    not be used; IdentityError if there is no key; TryLater where the pair in force stays, which is better now.
    """
    with store.lock():
        store.check_places(wish.cert_file, wish.key_file)
        now = patience.now()
        before = current(wish, now=now)
        chains = pem.possible_chains(text)
        keys = _keys(store, text, key, before)
        if not keys:
            raise IdentityError("no key for this certificate is known here", hint="give --key FILE")
        name, candidate, chain = _matching(store, chains, keys)
        notes = pem.check_usable(chain, now=now)
        says = parse(chain)
        if before.state is IdentityState.ACTIVE and (says.not_before - now).total_seconds() > SLOW_SECONDS:
            raise TryLater(
                f"{notes[0]}, or it is too early; the pair in force stays", hint="timedatectl # is this clock behind?"
            )
        report.done("check", "; ".join([f"{says.name}, for {name}; {chain.count(b'BEGIN')} in its chain", *notes]))
        with store.trial(certificate=chain, key=candidate) as files:
            probed(files, before, probe, report)
        generation = store.commit(
            key=candidate,
            certificate=wish.here.line() + chain,
            meta=meta_of(chain, b'{"issuer": "manual"}'),
        )
        store.place(wish.cert_file, wish.key_file)
        store.request.forget()
        report.state, report.changed, report.certificate = "enrolled", True, says
        report.done("switch", f"{wish.cert_file} and {wish.key_file} lead to {generation}")


def _keys(store: IdentityStore, text: bytes, key: bytes | None, before: Identity) -> list[tuple[str, bytes]]:
    """The keys that it may be for, each with its name for a person; only the given one if one is given."""
    if key is not None:
        given = pem.first_key(key)
        if given is None:
            raise IdentityError("the key file holds no PEM key", hint="openssl pkey -in KEY.der -inform DER")
        return [("the given key", given)]
    found = [
        ("the key beside it", pem.first_key(text)),
        ("the key of the exported request", store.request.part("key.pem")),
    ]
    if before.pair is not None:
        found.append(("the key in force", Path(before.pair[1]).read_bytes()))
    return [(name, each) for name, each in found if each is not None]


def _matching(store: IdentityStore, chains: list[bytes], keys: list[tuple[str, bytes]]) -> tuple[str, bytes, bytes]:
    """The first key that one of the chains is for, with its name and the chain."""
    for name, key in keys:
        for chain in chains:
            if _belong(store, chain, key):
                return name, key, chain
    names = " or ".join(name for name, _ in keys)
    raise UnusableAnswer(f"none of the certificates is for {names}", hint="give --key FILE")


def _belong(store: IdentityStore, chain: bytes, key: bytes) -> bool:
    """Whether OpenSSL takes the two for a pair. Raises UnusableAnswer if it cannot open the key at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        with store.trial(certificate=chain, key=key) as files:
            context.load_cert_chain(*files, password="")
    except ssl.SSLError as error:
        if error.reason in MISMATCH:
            return False
        encrypted = b"ENCRYPTED" in key
        raise UnusableAnswer(
            "the key is encrypted, and nobody is there to be asked for its passphrase"
            if encrypted
            else f"OpenSSL cannot open the key: {error.reason or error}",
            hint="openssl pkey -in KEY -out PLAIN" if encrypted else "openssl pkey -in KEY -noout # says why",
        ) from error
    return True
