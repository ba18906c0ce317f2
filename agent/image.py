"""What no image may hold that is written to more than one card, found and removed in a tree that is not running.

Links are followed as the image itself would follow them, inside of its root: an absolute one never leads to the
builder's own files.
"""

import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from agent.config import EnrollConfig, IdentityConfig, SpoolConfig
from agent.config.files import merge
from agent.errors import CannotWrite, ConfigError
from agent.record import dataclass

MACHINE_ID: Final = "/etc/machine-id"
UNSET: Final = {"", "uninitialized"}  # machine-id(5)
SPOOL_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")
LINKS: Final = 40  # as the kernel follows at most
SYSTEM: Final = (
    ("/var/lib/systemd/random-seed", "random seed", "every device would draw the same numbers first"),
    ("/var/lib/systemd/credential.secret", "secret", "every device would have the same key for systemd's credentials"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """Something that must not be there: `path` as the image calls it, `why` it matters."""

    what: str
    path: str
    why: str


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
    main = inside(root, config_file)
    for file in (main, *sorted(main.parent.glob("conf.d/*.toml"))):
        try:
            merged = merge(merged, tomllib.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise ConfigError(f"{file}: cannot be read: {error}", hint=f"mend {file}") from error
    return Places(
        certificate=_word(merged, "identity", "cert_file", IdentityConfig().cert_file),
        key=_word(merged, "identity", "key_file", IdentityConfig().key_file),
        store=_word(merged, "identity", "store_dir", IdentityConfig().store_dir),
        token=_word(merged, "enroll", "token_file", EnrollConfig().token_file),
        spool=_word(merged, "spool", "path", SpoolConfig().path),
        name=_word(merged, "device", "name", ""),
    )


def inside(root: Path, path: str) -> Path:
    """The path as seen by the image: every link on the way resolved within the root; the last part is not followed."""
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
        if todo and here.is_symlink():
            target = str(here.readlink())
            done = [] if target.startswith("/") else done
            todo = [each for each in target.split("/") if each not in {"", "."}] + todo
            continue
        done.append(part)
    else:
        raise ConfigError(f"{path}: too many links in {root}", hint=f"namei -l {root}/{path}")
    return root.joinpath(*done)


def findings(root: Path, where: Places) -> Iterator[Found]:
    """All that is there and must not be."""
    same = "every device would show the same certificate"
    for name in ("current", "gen", "pending", "trial"):
        if os.path.lexists(inside(root, f"{where.store}/{name}")):
            yield Found("key", f"{where.store}/{name}", same)
    for what, path, name in (("certificate", where.certificate, "cert.pem"), ("key", where.key, "key.pem")):
        here = inside(root, path)
        # a read-only /etc has the links before there is a pair; a store that is there has been named above
        if os.path.lexists(here) and not (
            here.is_symlink() and str(here.readlink()) == f"{where.store}/current/{name}"
        ):
            yield Found(what, path, same)
    if os.path.lexists(inside(root, where.token)):
        yield Found("token", where.token, "whoever has the image could enroll")
    for path in (f"{where.spool}{suffix}" for suffix in SPOOL_SUFFIXES):
        if os.path.lexists(inside(root, path)):
            yield Found("spool", path, "every device would deliver the same readings")
    for path in (MACHINE_ID, "/var/lib/dbus/machine-id"):
        if _text(inside(root, path)) not in UNSET:
            yield Found("machine id", path, "every device would get the same default name")
    for path, what, why in SYSTEM:
        if os.path.lexists(inside(root, path)):
            yield Found(what, path, why)
    if where.name:
        yield Found("name", "device.name", f"every device would be called {where.name}")


def clean(root: Path, where: Places) -> Iterator[str]:
    """Remove all that `findings` names but the configured name, one after the other; gives each path.

    The machine id is left empty, not away: systemd then makes one at the first boot. Raises CannotWrite.
    """
    for found in list(findings(root, where)):
        if found.what == "name":
            continue
        path = inside(root, found.path)
        try:
            if found.path == MACHINE_ID:
                path.unlink()
                path.touch(mode=0o444)
            elif path.is_dir() and not path.is_symlink():
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


def _text(path: Path) -> str:
    """What a file holds; empty if it is a link (to the other machine id) or not there."""
    try:
        return "" if path.is_symlink() else path.read_text(errors="replace").strip()
    except OSError:
        return ""
