"""A power switch: from the n-th file operation under a directory on, nothing happens any more."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

OPERATIONS = frozenset(
    {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate"}
)


class PowerCut(BaseException):
    """Not an Exception: nothing that tidies up after errors may survive it."""


class Switch:
    """Counts the file operations under `directory`; those from number `at` on are not done."""

    def __init__(self) -> None:
        self.directory = ""
        self.at = 0
        self.count = 0
        self.names: list[str] = []
        self._hooked = False

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.directory or event not in OPERATIONS or not self._concerns(arguments):
            return
        self.count += 1
        if self.count >= self.at:
            raise PowerCut(f"at operation {self.count}: {event} {arguments[0]}")

    def _concerns(self, arguments: tuple[object, ...]) -> bool:
        paths = (os.fspath(each) for each in arguments[:2] if isinstance(each, str | bytes | os.PathLike))
        return any(os.fsdecode(path).startswith(self.directory) for path in paths)

    @contextlib.contextmanager
    def cut(self, directory: Path, *, at: int) -> Iterator[None]:
        """Within, the operation number `at` and all later ones are cut off."""
        if not self._hooked:
            sys.addaudithook(self.hook)  # cannot be taken away again, so there is one for the whole run
            self._hooked = True
        self.count, self.at, self.directory = 0, at, str(directory)
        try:
            yield
        finally:
            self.directory = ""


SWITCH = Switch()
