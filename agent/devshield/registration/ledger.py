"""What the authority knows: one file for each token and each key, so that nothing is ever half written.

Tokens are kept as hashes. A change is made under the directory's lock, to what is on disk then, and a reader needs
no lock: the server and an operator's command may work at the same time.
"""

import fcntl
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from agent.devshield.registration.files import append, put, read, remove, write
from agent.devshield.registration.place import PARTS
from agent.devshield.registration.records import HASH_LETTERS, Entry, State, Token, hash_of
from agent.devshield.registration.transitions import moved
from agent.errors import CannotWrite, ConfigError

ALLOWED: Final = "allowed-fingerprints"
REVOKED: Final = "revoked-fingerprints"


class Ledger:
    """The records of one directory. For any thread, and beside other processes."""

    def __init__(self, directory: Path) -> None:
        self.directory: Final = directory
        self.allowed_file: Final = directory / ALLOWED
        self._threads = threading.RLock()
        self._unlisted = False  # a change is on disk, and the lists could not be written
        self._tokens, self._keys = (directory / part for part in PARTS)
        try:
            for needed in (directory, self._tokens, self._keys):
                needed.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise CannotWrite(f"{directory}: {error.strerror}", hint="give another --dir") from error
        # only the server makes entries; other processes change their states, which are always read from disk
        self._by_name: dict[str, set[str]] = {}
        self._by_fingerprint: dict[str, str] = {}
        for entry in self.entries():
            self._note(entry)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the records still for a look and a change that belong together. Not to be nested."""
        with self._threads, (self.directory / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def new_token(self, *, expires: float, name: str = "", admitted: bool = False) -> str:
        """One more token, told this once; it is on disk as a hash."""
        text = secrets.token_urlsafe(30)
        self.keep_token(Token(hash_of(text), expires, name, admitted))
        return text

    def token(self, text: str) -> Token | None:
        """The token of that text."""
        return self._token(hash_of(text))

    def again(self, caller: Token | Entry) -> Token | Entry | None:
        """The same as it is now: somebody else may have been faster."""
        return self._token(caller.hash) if isinstance(caller, Token) else self.entry(caller.key)

    def keep_token(self, token: Token) -> None:
        """Write the token down."""
        write(self._tokens / f"{token.hash}.json", token)

    def _token(self, hashed: str) -> Token | None:
        return read(self._tokens / f"{hashed}.json", Token)

    def entry(self, key: str) -> Entry | None:
        """What is known of that public key."""
        return read(self._keys / f"{key}.json", Entry)

    def entries(self) -> list[Entry]:
        """Everything that is known, the oldest first."""
        found = [entry for file in self._keys.glob("*.json") if (entry := read(file, Entry)) is not None]
        return sorted(found, key=lambda entry: (entry.since, entry.key))

    def named(self, name: str) -> list[Entry]:
        """What is known of devices of that name, the oldest first."""
        with self._threads:
            keys = list(self._by_name.get(name, ()))
        found = [entry for key in keys if (entry := self.entry(key)) is not None]
        return sorted(found, key=lambda entry: (entry.since, entry.key))

    def certified(self, fingerprint_sha256: str) -> Entry | None:
        """Whose certificate that is."""
        with self._threads:
            key = self._by_fingerprint.get(fingerprint_sha256)
        return self.entry(key) if key else None

    def add(self, entry: Entry) -> None:
        """Write a key down that is not known yet; to be called while `changing`."""
        self._keep(entry)

    def change(self, key: str, how: Callable[[Entry], Entry | None]) -> Entry | None:
        """What becomes of the entry as it is now, written down, in the lists too; None if `how` says so."""
        with self.changing():
            entry = self.entry(key)
            changed = how(entry) if entry is not None else None
            if entry is None or changed is None or changed == entry:
                return changed
            self._keep(changed)
            if (entry.state, entry.certificate) != (changed.state, changed.certificate) and changed.certificate:
                try:
                    if self._unlisted or changed.state != "issued":
                        self._list()
                    else:  # one line, which costs the same for the ten-thousandth device
                        append(self.allowed_file, _allowed(changed))
                except CannotWrite:
                    self._unlisted = True
                    raise
            return changed

    def catch_up(self) -> None:
        """Write the lists if the last change is not in them. Raises CannotWrite."""
        if self._unlisted:
            self.write_lists()

    def _keep(self, entry: Entry) -> None:
        write(self._keys / f"{entry.key}.json", entry)
        self._note(entry)

    def _note(self, entry: Entry) -> None:
        with self._threads:
            self._by_name.setdefault(entry.name, set()).add(entry.key)
            if entry.fingerprint_sha256:
                self._by_fingerprint[entry.fingerprint_sha256] = entry.key

    def decide(self, which: str, state: State) -> None:
        """Give the entry of that name, or of a key or fingerprint that begins so, another state.

        Raises ConfigError unless it is just one that can have it: two keys of one name are two devices, or a clone.
        """
        with self.changing():
            meant = [each for each in map(_to(which, state), self.entries()) if each is not None]
            if len(meant) != 1:
                raise _unclear(which, len(meant))
            self._keep(meant[0])

    def revoke(self, which: str) -> tuple[list[Entry], int]:
        """The entries that are meant, now revoked, those that renew one of them and have no certificate yet too, and
        the number of unused tokens of that name or hash, which are no more. Raises ConfigError for none of either.
        """
        with self.changing():
            entries = self.entries()
            meant = {each.key: each for each in map(_to(which, "revoked"), entries) if each is not None}
            for entry in entries:
                if entry.replaces in meant and not entry.certificate and (renewal := moved(entry, "revoked")):
                    meant[entry.key] = renewal
            tokens = [each for file in self._tokens.glob("*.json") if (each := read(file, Token)) is not None]
            unused = [each for each in tokens if not each.key and _is_meant(which, each.name, each.hash)]
            if not meant and not unused:
                raise _unclear(which, 0)
            for token in unused:
                remove(self._tokens / f"{token.hash}.json")
            for entry in meant.values():
                self._keep(entry)
            self._list()
        return list(meant.values()), len(unused)

    def write_lists(self) -> None:
        """Write the fingerprints that an edge or a Worker may let in, a line each, with the name behind it.

        Beside them those that were let in once: in a register that is only added to they would go on.
        """
        with self.changing():
            self._list()

    def _list(self) -> None:
        entries = [entry for entry in self.entries() if entry.fingerprint_sha256]
        for file, issued in ((self.directory / REVOKED, False), (self.allowed_file, True)):
            lines = [_allowed(entry) for entry in entries if (entry.state == "issued") is issued]
            put(file, "".join(lines).encode(), mode=0o644)
        self._unlisted = False


def _to(which: str, state: State) -> Callable[[Entry], Entry | None]:
    def step(entry: Entry) -> Entry | None:
        meant = _is_meant(which, entry.name, entry.key, entry.fingerprint_sha256)
        return moved(entry, state) if meant else None

    return step


def _unclear(which: str, number: int) -> ConfigError:
    return ConfigError(f"{which}: {number} keys are meant", hint="sensor-agent shield authority list, and give a key")


def _is_meant(which: str, name: str, *hashes: str) -> bool:
    return name == which or (len(which) >= HASH_LETTERS and any(each.startswith(which) for each in hashes))


def _allowed(entry: Entry) -> str:
    return f"{entry.fingerprint_sha256} {entry.name}\n"
