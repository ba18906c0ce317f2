"""Who gets an entry for which key: the decision alone, from what was asked and what is known.

Pure: the desk looks everything up first, and writes down what comes out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.devshield.registration.policy import Applicant, NotAllowed, Policy, allows
from agent.devshield.registration.records import IN_FORCE, Entry, Token


class Forbidden(Exception):
    """The token or the certificate does not allow it, whatever the request says."""


@dataclass(frozen=True, slots=True)
class Application:
    """A request that is in order. `same_name` is what is known of other keys of that name."""

    applicant: Applicant
    known: Entry | None
    same_name: Iterable[Entry] = ()


def admit(caller: Token | Entry, application: Application, policy: Policy, *, approve: bool, now: float) -> Entry:
    """The entry of the applicant's key, the known one or a new one; `now` is in UNIX seconds.

    Whoever owns the caller's token or certificate and the key may ask as often as they like: the answer is the
    same. Raises NotAllowed for what another request could mend, Forbidden for the rest.
    """
    entry = (
        _for_token(caller, application, policy, approve=approve, now=now)
        if isinstance(caller, Token)
        else _for_certificate(caller, application, now=now)
    )
    if entry.state not in {"waiting", *IN_FORCE}:
        raise Forbidden(f"the key is {entry.state}")
    if application.applicant.name != entry.name:
        raise NotAllowed(f"csr: the key belongs to {entry.name}")
    return entry


def _for_token(token: Token, asked: Application, policy: Policy, *, approve: bool, now: float) -> Entry:
    name, key = asked.applicant.name, asked.applicant.key
    if token.key and token.key != key:
        raise Forbidden("the token was used for another key")
    if not token.key and token.expires <= now:
        raise Forbidden("the token has expired")
    if token.name and name != token.name:
        raise NotAllowed(f"csr: the token is for the name {token.name}, not {name}")
    if asked.known is not None:
        return asked.known
    if not token.name and not allows(policy, name):
        raise NotAllowed(f"csr: no name for a device here: {name}")
    if not token.name and any(entry.state in IN_FORCE for entry in asked.same_name):
        raise NotAllowed(f"csr: {name} is in use; the operator can make a token for this name")
    return Entry(key, name, "waiting" if approve and not token.admitted else "admitted", asked.applicant.csr, now)


def _for_certificate(old: Entry, asked: Application, *, now: float) -> Entry:
    name, key = asked.applicant.name, asked.applicant.key
    if old.state not in {"issued", "replaced"}:
        raise Forbidden(f"the certificate is {old.state}")
    if key == old.key:
        raise NotAllowed("csr: a renewal needs a new key")
    if name != old.name:
        raise NotAllowed(f"csr: the certificate is for {old.name}, not for {name}")
    if asked.known is not None and asked.known.replaces != old.key:
        raise Forbidden("the key is another's")
    if old.state == "replaced" and (asked.known is None or asked.known.state != "issued"):
        raise Forbidden("the certificate was replaced by a later one")
    return asked.known or Entry(key, name, "admitted", asked.applicant.csr, now, replaces=old.key)
