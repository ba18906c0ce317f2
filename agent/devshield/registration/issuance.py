"""From a key that was let in to its one certificate, and from that to the end of the certificates before it.

Nothing is asked of the signer before it is written down, and nothing it has made counts before the entry has been read
again: an operator may have said no while it was asked.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from agent.devshield.registration.admission import Forbidden
from agent.devshield.registration.ledger import Ledger
from agent.devshield.registration.records import IN_FORCE, Entry, Signed
from agent.devshield.registration.signers import Signer, key_in
from agent.devshield.registration.transitions import certified, moved, seen
from agent.errors import AgentError, UnusableAnswer

log = logging.getLogger(__name__)

LOCKS: Final = 256


class Issuance:
    """`days` is each certificate's life, `trust` hears of each new one (PEM). For any thread."""

    def __init__(self, ledger: Ledger, signer: Signer, *, days: int, trust: Callable[[str], object]) -> None:
        self._ledger = ledger
        self._signer = signer
        self._days = days
        self._trust = trust
        self._locks = [threading.Lock() for _ in range(LOCKS)]

    def issued(self, key: str) -> Entry:
        """The entry of a key with its one certificate; two that ask at once get the same.

        Raises Forbidden if the key is not in force, AgentError if the signer has none.
        """
        with self._locks[int(key[:2], 16)]:
            entry = self._ledger.entry(key)
            if entry is None or entry.state not in IN_FORCE:
                raise _no_longer(entry)
            if entry.state != "issued":
                return self._issue(key, self._signed(entry))
        # the question before may have ended between the entry and this, as on a disk that was full
        self._ledger.catch_up()
        self._trust(entry.certificate)
        return entry

    def _signed(self, entry: Entry) -> Signed:
        """The certificate of the entry's key: the one that an earlier question made, or a new one."""
        signed = self._signer.find(entry.key) if entry.state == "asked" else None
        if signed is None:
            if self._ledger.change(entry.key, lambda now: moved(now, "asked")) is None:
                raise _no_longer(self._ledger.entry(entry.key))
            signed = self._signer.sign(entry.csr, days=self._days)
        if key_in(signed) != entry.key:
            raise UnusableAnswer(f"{self._signer.name}: the certificate is for another key")
        return signed

    def _issue(self, key: str, signed: Signed) -> Entry:
        entry = self._ledger.change(key, lambda now: certified(now, signed))
        about = {"NAME": entry.name, "FINGERPRINT": entry.fingerprint_sha256} if entry else {}
        if entry is None or entry.state != "issued" or entry.certificate != signed.certificate:
            self._take_back(signed.issuer_id, about)
        if entry is None or entry.state != "issued":
            raise _no_longer(entry)
        self._trust(entry.certificate)
        log.info("certificate issued", extra=about)
        return entry

    def _take_back(self, issuer_id: str, about: dict[str, str]) -> None:
        """What was signed for nobody."""
        try:
            self._signer.revoke(issuer_id)
        except AgentError as error:
            hint = f"sensor-agent shield authority revoke {about.get('NAME')}"
            log.warning("certificate not revoked", extra={**about, "REASON": str(error), "HINT": hint})

    def seen(self, entry: Entry) -> Entry | None:
        """The device has the certificate: the ones before it, of the same name, are no longer needed.

        None if its certificate is no longer in force.
        """
        now = self._ledger.change(entry.key, seen)
        if now is None:
            return None
        for each in self._ledger.named(now.name):
            if each.state == "issued" and each.since <= now.since and each.key != now.key:
                self._replace(each)
        return now

    def _replace(self, old: Entry) -> None:
        try:
            self._signer.revoke(old.issuer_id)
        except AgentError as error:
            log.warning("predecessor not revoked", extra={"NAME": old.name, "REASON": str(error)})
            return
        self._ledger.change(old.key, lambda now: moved(now, "replaced"))
        log.info("predecessor revoked", extra={"NAME": old.name, "FINGERPRINT": old.fingerprint_sha256})


def _no_longer(entry: Entry | None) -> Forbidden:
    return Forbidden(f"the key is {entry.state if entry else 'not known'}")
