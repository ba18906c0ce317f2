"""What the authority knows: one file for each token and each key, so that nothing is ever half written.

Tokens are kept as hashes. A change is made under the directory's lock and is on disk before it counts, and a
reader needs no lock: the server and an operator's command may work at the same time.
"""

import fcntl
import json
import os
import pwd
import secrets
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from agent.devshield.registration.records import HASH_LETTERS, Entry, State, Token, hash_of
from agent.errors import CannotWrite, ConfigError

ALLOWED: Final = "allowed-fingerprints"
REVOKED: Final = "revoked-fingerprints"


class Ledger:
    """The records of one directory. For any thread, and beside other processes."""

    def __init__(self, directory: Path) -> None:
        self.directory: Final = directory
        self.allowed_file: Final = directory / ALLOWED
        self._threads = threading.RLock()
        self._tokens = directory / "tokens"
        self._keys = directory / "keys"
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
        found = _read(self._tokens / f"{hash_of(text)}.json")
        return Token(**found) if found else None

    def again(self, caller: Token | Entry) -> Token | Entry:
        """The same as it is now: somebody else may have been faster."""
        found = _read(self._tokens / f"{caller.hash}.json") if isinstance(caller, Token) else None
        if isinstance(caller, Token):
            return Token(**found) if found else caller
        return self.entry(caller.key) or caller

    def keep_token(self, token: Token) -> None:
        """Write the token down."""
        _write(self._tokens / f"{token.hash}.json", asdict(token))

    def entry(self, key: str) -> Entry | None:
        """What is known of that public key."""
        found = _read(self._keys / f"{key}.json")
        return Entry(**found) if found else None

    def entries(self) -> list[Entry]:
        """Everything that is known, the oldest first."""
        found = [Entry(**fields) for file in self._keys.glob("*.json") if (fields := _read(file))]
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

    def keep(self, entry: Entry) -> Entry:
        """Write the entry down."""
        _write(self._keys / f"{entry.key}.json", asdict(entry))
        self._note(entry)
        return entry

    def _note(self, entry: Entry) -> None:
        with self._threads:
            self._by_name.setdefault(entry.name, set()).add(entry.key)
            if entry.fingerprint_sha256:
                self._by_fingerprint[entry.fingerprint_sha256] = entry.key

    def decide(self, which: str, state: State, *, among: tuple[State, ...], several: bool = False) -> list[Entry]:
        """Give the entries of that name, or of a key or fingerprint that begins so, another state.

        Only those in one of the states `among` are meant. Raises ConfigError if none are, or if more than one
        is and `several` is false: two keys of one name are two devices, or a clone.
        """
        with self.changing():
            meant = [entry for entry in self.entries() if entry.state in among and _is_meant(entry, which)]
            if not meant or (len(meant) > 1 and not several):
                raise ConfigError(
                    f"{which}: {len(meant)} keys are meant", hint="sensor-agent shield authority list, and give a key"
                )
            changed = [self.keep(replace(entry, state=state)) for entry in meant]
        self.write_allowed()
        return changed

    def write_allowed(self) -> None:
        """Write the fingerprints that an edge or a Worker may let in, a line each, with the name behind it.

        Beside them those that were let in once: in a register that is only added to they would go on.
        """
        with self.changing():
            entries = [entry for entry in self.entries() if entry.fingerprint_sha256]
            for file, issued in ((self.directory / REVOKED, False), (self.allowed_file, True)):
                lines = [_allowed(entry) for entry in entries if (entry.state == "issued") is issued]
                _put(file, "".join(lines).encode(), mode=0o644)

    def add_allowed(self, entry: Entry) -> None:
        """Add one line to them, which costs the same for the ten-thousandth device."""
        if entry.state != "issued":  # an operator has said no meanwhile
            self.write_allowed()
            return
        with self.changing(), self.allowed_file.open("a") as file:
            file.write(_allowed(entry))


def refuse_others(directory: Path, user: int) -> None:
    """Raises CannotWrite if the directory is there and another user's: the server could not read a file of `user`'s."""
    try:
        owner = directory.stat().st_uid
    except FileNotFoundError:
        return
    except OSError as error:
        raise CannotWrite(f"{directory}: {error.strerror}", hint="run it as the user who serves") from error
    if owner != user:
        name = _user_name(owner)
        raise CannotWrite(
            f"{directory}: belongs to {name}, and this is {_user_name(user)}",
            hint=f"sudo -u {shlex.quote(name)} sensor-agent shield authority …",
        )


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"  # as sudo takes it


def _is_meant(entry: Entry, which: str) -> bool:
    by_hash = len(which) >= HASH_LETTERS and which in {entry.key[: len(which)], entry.fingerprint_sha256[: len(which)]}
    return entry.name == which or by_hash


def _allowed(entry: Entry) -> str:
    return f"{entry.fingerprint_sha256} {entry.name}\n"


def _read(file: Path) -> dict[str, Any] | None:
    try:
        fields: dict[str, Any] = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    return fields


def _write(file: Path, fields: dict[str, Any]) -> None:
    _put(file, json.dumps(fields, indent=1).encode(), mode=0o600)


def _put(file: Path, content: bytes, *, mode: int) -> None:
    """On disk when this returns; whoever reads meanwhile gets the old content or the new."""
    beside = file.with_name(f"{file.name}.{threading.get_ident()}.new")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(file)
    except OSError as error:
        raise CannotWrite(f"{file} cannot be written: {error.strerror}", hint=f"df {file.parent}") from error
