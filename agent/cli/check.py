"""`check`: every layer from the configuration to the shield, each line with what was seen and the exact fix."""

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent import identity, status_file
from agent.cli import parts
from agent.cli.render import coloured, table, write_json
from agent.config import Config, load
from agent.delivery import Verdict
from agent.device import board, device_name
from agent.errors import ConfigError, SpoolError
from agent.identity import Identity, IdentityState
from agent.issuers import can_renew
from agent.sampler import Sampler
from agent.spool import is_spool
from agent.uplink import Uplink

LEAST_ROOM = 64 << 20  # bytes; below this a board fills up within weeks


@dataclass(frozen=True, slots=True)
class Check:
    """One line: `result` is `ok`, `warn` or `fail`; `fix` is the next command."""

    name: str
    result: str
    saw: str
    fix: str | None = None


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `check`."""
    command = commands.add_parser(
        "check",
        parents=[common],
        help="configuration, hardware, clock, identity, shield",
        description="Look at every layer; stores and sends nothing. Safe beside the running daemon.",
        epilog="Exit codes: 0 nothing failed, 1 something did, 78 the configuration did.",
    )
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.add_argument("--offline", action="store_true", help="ask nobody on the network")
    command.set_defaults(handler=check)


def check(args: argparse.Namespace) -> int:
    """Exit code 0 if nothing failed, 1 if something did, 78 if the configuration did."""
    try:
        config = load(args.config)
    except ConfigError as error:
        found = [Check("configuration", "fail", problem, error.hint) for problem in error.problems]
        _answer(found, as_json=args.json)
        return error.exit_code
    found = []
    for each in everything(config, args.config, args.root, offline=args.offline):
        found.append(each)
        if not args.json:
            sys.stdout.write(_line(each))
            sys.stdout.flush()
    if args.json:
        _answer(found, as_json=True)
    return 1 if any(each.result == "fail" for each in found) else 0


def everything(config: Config, file: Path, root: Path, *, offline: bool) -> Iterator[Check]:
    """The checks, one after the other, as they are done."""
    yield Check("configuration", "ok", f"{file}: {len(config.sensors)} sensors")
    if not config.sensors:
        yield Check("sensors", "warn", "none is configured", f"add [[sensors]] tables to {file}")
    yield _device(config, root)
    yield from _sensors(config, root)
    yield _clock(config, root)
    yield from _spool(config)
    found = identity.load(parts.identity_files(config), now=parts.utc_now(), here=board(root))
    yield from _identity(found, config)
    if not offline:
        yield from _shield(config, found)
    yield _daemon(root)


def _device(config: Config, root: Path) -> Check:
    try:
        return Check("device", "ok", device_name(config.device.name, root))
    except ConfigError as error:
        return Check("device", "fail", str(error), error.hint)


def _sensors(config: Config, root: Path) -> Iterator[Check]:
    probes = parts.probes(config, root, wait=threading.Event().wait)
    sampler = Sampler(probes, parts.clock(config, root), monotonic=time.monotonic)
    for taken in sampler.tick(probes):
        name = f"sensor {taken.name}"
        if taken.error is None:
            yield Check(name, "ok", f"{taken.celsius:.3f} °C")
        else:
            hint = taken.error.hint or f"sensor-agent read '{taken.name}'"
            yield Check(name, "fail", f"{taken.error.kind}: {taken.error}", hint)
    sampler.close()


def _clock(config: Config, root: Path) -> Check:
    if parts.clock(config, root).synchronised:
        return Check("clock", "ok", "synchronised")
    held = (
        "readings are held until it is" if config.clock.unsynchronised == "hold" else "readings are sent all the same"
    )
    return Check("clock", "warn", f"not synchronised: {held}", "timedatectl set-ntp true; timedatectl status")


def _spool(config: Config) -> Iterator[Check]:
    path = Path(config.spool.path)
    try:
        there = is_spool(path)
    except SpoolError as error:
        yield Check("spool", "fail", str(error), error.hint)
        return
    except OSError as error:
        yield Check("spool", "fail", f"{path}: {error.strerror}", f"ls -ld {path.parent}; id sensor-agent")
        return
    above = next(parent for parent in path.parents if parent.exists())
    space = os.statvfs(above)
    room = space.f_bavail * space.f_frsize
    saw = f"{path}{'' if there else ' (made by the daemon at its start)'}, {room >> 20} MB free"
    if room < LEAST_ROOM and not there:
        yield Check("spool", "warn", saw, f"df {above}; journalctl --vacuum-size=50M")
    else:
        yield Check("spool", "ok", saw)


def _identity(found: Identity, config: Config) -> Iterator[Check]:
    if found.state is IdentityState.ACTIVE and found.certificate:
        says = found.certificate
        days = says.days_left(parts.utc_now())
        saw = f"{says.name}, {days} days left, sha256 {says.fingerprint_sha256[:16]}…"
        near = days < 30 and says.renews_after <= parts.utc_now()
        able = can_renew(config.enroll.issuer, renew_url=config.enroll.renew_url)
        fix = "sensor-agent renew" if able else "sensor-agent enroll --force"
        yield Check("identity", "warn" if near else "ok", saw, fix if near else None)
        if found.moved:
            yield Check("board", "warn", f"another {found.moved} than at enrollment", "sensor-agent renew")
    else:
        yield Check("identity", "fail", found.detail, found.fix)
    warning = identity.exposed(parts.identity_files(config)[1])
    if warning:
        yield Check("key", "warn", warning, warning.rpartition("; ")[2])


def _shield(config: Config, found: Identity) -> Iterator[Check]:
    """A GET with the certificate, which stores nothing, and one without, which must be refused."""
    where = parts.target(config)
    bare = Uplink(where, None)
    without = bare.get()
    bare.close()
    name = "shield"
    if without.status is None and without.verdict is not Verdict.HOLD:
        yield Check(name, "fail", f"{where.url}: {without.detail}", f"curl -v --cacert {where.ca_file} {where.url}")
        return
    if without.verdict is not Verdict.HOLD:
        yield Check(
            name,
            "warn",
            f"takes requests without a certificate ({without.detail})",
            "enable mTLS for the host and its rule",
        )
    if found.pair is None:
        return
    shown = Uplink(where, found.pair)
    answer = shown.get()
    shown.close()
    if answer.status is not None and answer.status < 300:
        yield Check(name, "ok", f"{where.url} takes this device's certificate (HTTP {answer.status} to a GET)")
    elif answer.verdict is Verdict.HOLD:
        yield Check(name, "fail", f"refuses this device: {answer.detail}", "is it revoked? sensor-agent enroll --force")
    else:
        yield Check(
            name,
            "warn",
            f"a GET is answered with {answer.detail}",
            "readings may pass all the same: sensor-agent run --once",
        )


def _daemon(root: Path) -> Check:
    try:
        found = status_file.read(root)
    except (OSError, ValueError) as error:
        return Check("daemon", "warn", f"its status cannot be read: {error}", "systemctl status sensor-agent")
    if found is None or not found[1]:
        return Check("daemon", "warn", "not running", "systemctl start sensor-agent")
    return Check("daemon", "ok", f"{found[0].get('state')}, since {found[0].get('since')}")


def _answer(found: list[Check], *, as_json: bool) -> None:
    if as_json:
        checks = [{"name": each.name, "result": each.result, "saw": each.saw, "fix": each.fix} for each in found]
        write_json({"ok": not any(each.result == "fail" for each in found), "checks": checks})
    else:
        sys.stdout.writelines(_line(each) for each in found)


def _line(each: Check) -> str:
    """The mark, the name, what was seen, and the way out beneath it."""
    mark = coloured(each.result, each.result.upper().ljust(4))
    line = table([(mark, each.name, each.saw)])
    return line + (f"      next: {each.fix}\n" if each.fix and each.result != "ok" else "")
