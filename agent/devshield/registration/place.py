"""Where an authority keeps its records: whose directory that is, and whether there is one."""

import pwd
import shlex
from pathlib import Path

from agent.errors import CannotWrite, ConfigError

PARTS = ("tokens", "keys")


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


def refuse_none(directory: Path) -> None:
    """Raises ConfigError if no authority has run on the directory."""
    if not all((directory / part).is_dir() for part in PARTS):
        raise ConfigError(f"{directory}: no authority has run there", hint="give the --dir of `serve`")


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"  # as sudo takes it
