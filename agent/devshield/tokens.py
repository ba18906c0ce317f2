"""Who may ask for certificates: the zone's token, and one-time tokens as a registration authority hands out.

Both lie in files of mode 0600. A spent one-time token issues nothing more, but still lists what it issued, so
that a device whose answer got lost finds its certificate.
"""

import hmac
import os
import secrets
import threading
from pathlib import Path
from typing import Final


class Tokens:
    """The tokens of one directory: `token`, and `one-time-tokens` with one a line. For any thread."""

    def __init__(self, directory: Path) -> None:
        self.zone_file: Final = directory / "token"
        self.one_time_file: Final = directory / "one-time-tokens"
        self._lock = threading.Lock()
        if not self.zone_file.exists():
            _write(self.zone_file, secrets.token_urlsafe(30) + "\n")
        if not self._unspent():
            self.new_one_time()

    def is_zone(self, token: str) -> bool:
        """Whether it is the zone's token."""
        return hmac.compare_digest(token.encode(), self.zone_file.read_bytes().strip())

    def is_unspent(self, token: str) -> bool:
        """Whether it is a one-time token that nothing was issued for."""
        with self._lock:
            return token in self._unspent()

    def new_one_time(self) -> str:
        """One more one-time token, for one device."""
        token = secrets.token_urlsafe(30)
        with self._lock:
            self._keep([*self._unspent(), token])
        return token

    def spend(self, token: str) -> bool:
        """Take the one-time token out of force; False if somebody else was faster."""
        with self._lock:
            left = self._unspent()
            if token not in left:
                return False
            self._keep([other for other in left if other != token])
            return True

    def _unspent(self) -> list[str]:
        return self.one_time_file.read_text().split() if self.one_time_file.exists() else []

    def _keep(self, tokens: list[str]) -> None:
        _write(self.one_time_file, "".join(f"{token}\n" for token in tokens))


def _write(file: Path, text: str) -> None:
    beside = file.with_name(f"{file.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    beside.replace(file)
