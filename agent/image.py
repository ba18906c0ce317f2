"""What no image may hold that is written to more than one card, found and removed in a tree that is not running.

Links are followed as the image itself would follow them, inside of its root: an absolute one never leads to the
builder's own files.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from agent.config import EnrollConfig, IdentityConfig, SpoolConfig
from agent.config.files import drop_ins, merge, parsed
from agent.errors import CannotWrite, ConfigError
from agent.record import dataclass

MACHINE_ID: Final = "/etc/machine-id"
DBUS_ID: Final = "/var/lib/dbus/machine-id"
UNSET: Final = {"", "uninitialized"}  # machine-id(5)
T = TypeVar("T")
USER_DATA: Final = ("/boot/user-data", "/boot/firmware/user-data")  # cloud-init's
LINKS: Final = 40  # as the kernel follows at most
SYSTEM: Final = (
    ("/var/lib/systemd/random-seed", "random seed", "every device would draw the same numbers first"),
    ("/var/lib/systemd/credential.secret", "secret", "every device would have the same key for systemd's credentials"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """Something that must not be so: `path` as the image calls it, `why` it matters.

    `fix` is what a person must do; empty where `clean` does it.
    """

    what: str
    path: str
    why: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the image's own configuration keeps things; `name` is the device's, empty if it is not set."""

    certificate: str
    key: str
    store: str
    token: str
    spool: str
    name: str = ""


def places(root: Path, config_file: str) -> Places:
    """By the image's configuration and its drop-ins; the defaults where it has none.

    Raises ConfigError if a file cannot be read: what it says about paths is needed to know where to look.
    """
    merged: dict[str, Any] = {}
    beside = f"{Path(config_file).parent}/conf.d"
    files = look(drop_ins, inside(root, beside, last=True)) or []
    for name in (config_file, *(f"{beside}/{file.name}" for file in files)):
        merged = merge(merged, look(parsed, inside(root, name, last=True)) or {})
    return Places(
        certificate=_word(merged, "identity", "cert_file", IdentityConfig().cert_file),
        key=_word(merged, "identity", "key_file", IdentityConfig().key_file),
        store=_word(merged, "identity", "store_dir", IdentityConfig().store_dir),
        token=_word(merged, "enroll", "token_file", EnrollConfig().token_file),
        spool=_word(merged, "spool", "path", SpoolConfig().path),
        name=_word(merged, "device", "name", ""),
    )


def look(how: Callable[[Path], T], path: Path) -> T | None:
    """What `how` says of the path, None if it is not there. Raises ConfigError where this user may not look."""
    try:
        return how(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be looked into: {error.strerror}", hint="the same with sudo") from error


def names(directory: Path) -> list[str]:
    """What is in it, in order."""
    return sorted(each.name for each in directory.iterdir())


def inside(root: Path, path: str, *, last: bool = False) -> Path:
    """The path as seen by the image: every link on the way resolved within the root; the last part's if `last`."""
    todo = [part for part in path.split("/") if part not in {"", "."}]
    done: list[str] = []
    for _ in range(LINKS * 10):
        if not todo:
            break
        part = todo.pop(0)
        if part == "..":
            done = done[:-1]
            continue
        here = root.joinpath(*done, part)
        if (todo or last) and stat.S_ISLNK(_mode(here)):
            target = str(here.readlink())
            done = [] if target.startswith("/") else done
            todo = [each for each in target.split("/") if each not in {"", "."}] + todo
            continue
        done.append(part)
    else:
        raise ConfigError(f"{path}: too many links in {root}", hint=f"namei -l {root}/{path}")
    return root.joinpath(*done)


def findings(root: Path, where: Places) -> Iterator[Found]:
    """All that must not be as it is. Raises ConfigError where this user may not look."""
    yield from _pair(root, where)
    anyone = "whoever has the image could enroll"
    if _mode(inside(root, where.token)):
        yield Found("token", where.token, anyone)
    for path in _user_data(root):
        here = inside(root, path, last=True)
        if where.token in _text(here):
            yield Found("token", path, anyone, f"take the token out of {here}")
    directory, name = os.path.split(where.spool)
    for each in look(names, inside(root, directory, last=True)) or ():
        # its journals, what was moved aside as damaged, one not yet in its place
        if each.startswith(name) and each[len(name) :].partition("-")[0] in {"", ".damaged", ".new"}:
            yield Found("spool", f"{directory}/{each}", "every device would deliver the same readings")
    # dbus's is a link to the other one, or a file of its own
    for here, path in {inside(root, each, last=True): each for each in (DBUS_ID, MACHINE_ID)}.items():
        if _text(here).strip() not in UNSET:
            yield Found("machine id", path, "every device would get the same default name")
    for path, what, why in SYSTEM:
        if _mode(inside(root, path)):
            yield Found(what, path, why)
    if where.name:
        fix = "take device.name out of the configuration"
        yield Found("name", "device.name", f"every device would be called {where.name}", fix)


def _user_data(root: Path) -> list[str]:
    """Where cloud-init's may be; what it has kept is /var/lib/cloud/*/*/user-data*."""
    kept = ["/var/lib/cloud"]
    for _ in range(3):
        kept = [f"{each}/{name}" for each in kept for name in look(names, inside(root, each, last=True)) or ()]
    return [*USER_DATA, *(each for each in kept if Path(each).name.startswith("user-data"))]


def _pair(root: Path, where: Places) -> Iterator[Found]:
    same = "every device would show the same certificate"
    for name in ("current", "gen", "pending", "trial"):
        if _mode(inside(root, f"{where.store}/{name}")):
            yield Found("key", f"{where.store}/{name}", same)
    links, missing = 0, None
    for what, path, name in (("certificate", where.certificate, "cert.pem"), ("key", where.key, "key.pem")):
        here, target = inside(root, path), f"{where.store}/current/{name}"
        mode = _mode(here)
        # a read-only /etc has the links before there is a pair; a store that is there has been named above
        if stat.S_ISLNK(mode) and str(here.readlink()) == target:
            links += 1
        elif mode:
            yield Found(what, path, same)
        else:  # `update-ca-certificates --fresh` takes a certificate's link away that leads to nothing
            why = "is missing beside the other link: with a read-only /etc no device could enroll"
            missing = Found("link", path, why, f"ln -s {target} {root}{path}")
    if links and missing:
        yield missing


def clean(root: Path, where: Places) -> Iterator[str]:
    """Remove all that `findings` names and nobody else must mend, one after the other; gives each path.

    The machine id is left empty, not away: systemd then makes one at the first boot. Raises CannotWrite.
    """
    for found in list(findings(root, where)):
        if found.fix:
            continue
        path = inside(root, found.path, last=found.path == MACHINE_ID)
        try:
            if found.path == MACHINE_ID:
                path.unlink()
                path.touch(mode=0o444)
            elif stat.S_ISDIR(_mode(path)):
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            raise CannotWrite(f"{path} cannot be removed: {error.strerror}", hint="run as root") from error
        yield found.path


def _word(table: Mapping[str, Any], section: str, key: str, default: str) -> str:
    part = table.get(section)
    value = part.get(key) if isinstance(part, dict) else None
    return value if isinstance(value, str) and value else default


def _mode(path: Path) -> int:
    """Of what is there itself, no link followed; 0 if nothing is."""
    return look(lambda here: here.lstat().st_mode, path) or 0


def _text(path: Path) -> str:
    """What a file holds; empty if it is not there."""
    return look(lambda file: file.read_text(errors="replace"), path) or ""
