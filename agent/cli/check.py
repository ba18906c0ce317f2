"""`check`: every layer from the overlay to the shield's rule, each line with what was seen and the exact fix."""

import argparse
import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from agent import control, identity, status_file
from agent.checks import Check, accounts, buses, disk, network, units
from agent.checks import clock as clocks
from agent.checks import configuration as configurations
from agent.checks import identity as identities
from agent.checks import sensors as sensor_checks
from agent.checks import shield as shields
from agent.checks.accounts import Account
from agent.checks.finding import fail, ok, warn
from agent.cli import parts
from agent.cli.render import mark, write_json
from agent.config import Config, load
from agent.device import board, device_name
from agent.errors import ConfigError
from agent.identity import Identity, IdentityState
from agent.issuers import can_renew, zone_missing
from agent.sampler import Sampler

NAME_WIDTH: Final = 16  # of the lines' names, most of which are shorter: they come one by one, so no column is measured


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `check`."""
    command = commands.add_parser(
        "check",
        parents=[common],
        help="every layer, each with its fix: wiring, clock, disk, identity, network, shield",
        description="Look at every layer, from the overlay in config.txt to the shield's rule, and name the fix of what is "
        "not well. Stores nothing and sends no reading; safe beside the running daemon. Sees most as root.",
        epilog="Exit codes: 0 nothing failed, 1 something did, 78 the configuration did.",
    )
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.add_argument("--offline", action="store_true", help="ask nobody on the network")
    command.set_defaults(handler=check)


def check(args: argparse.Namespace) -> int:
    """Exit code 0 if nothing failed, 1 if something did, 78 if the configuration did."""
    logging.getLogger("agent").setLevel(logging.ERROR)  # a failing sensor is a line of the answer
    try:
        config = load(args.config, issuing=True)
    except ConfigError as error:
        _answer(configurations.refused(error, args.config), as_json=args.json)
        return error.exit_code
    found = []
    for each in everything(config, args.config, args.root, offline=args.offline):
        found.append(each)
        if not args.json:
            sys.stdout.write(_line(each))
            sys.stdout.flush()
    if args.json:
        _answer(found, as_json=True)
    else:
        sys.stdout.write(_sum(found))
    return 1 if any(each.result == "fail" for each in found) else 0


def everything(config: Config, file: Path, root: Path, *, offline: bool) -> Iterator[Check]:
    """The checks, one after the other, as they are done: what others stand on comes first."""
    service = accounts.service_account(root)
    yield from configurations.configuration(config, file, service)
    yield _device(config, root)
    yield from buses.one_wire(config.sensors, root)
    yield from buses.i2c(config.sensors, root, service)
    yield from _sensors(config, root, service)
    clock = parts.clock(config, root)
    facts = clocks.look(root, now=time.time(), synchronised=clock.synchronised)
    yield from clocks.clock(facts, hold=config.clock.unsynchronised == "hold")
    yield from disk.spool(Path(config.spool.path), root, service, max_readings=config.spool.max_readings)
    files = parts.identity_files(config)
    found = identity.load(files, now=parts.utc_now(), here=board(root))
    yield from _identity(config, root, found, exposed=identity.exposed(files[1]))
    if not offline:
        yield from _online(config, found, synchronised=facts.synchronised)
    states = units.look(root)
    yield from units.units(states)
    yield _daemon(root, states)


def _device(config: Config, root: Path) -> Check:
    try:
        return ok("device", device_name(config.device.name, root))
    except ConfigError as error:
        return fail("device", str(error), error.hint)


def _sensors(config: Config, root: Path, service: Account | None) -> Iterator[Check]:
    probes = parts.probes(config, root, wait=threading.Event().wait)
    on = {probe.config.name: probe.sensor.bus for probe in probes}
    sampler = Sampler(probes, parts.clock(config, root), monotonic=time.monotonic)
    taken = sampler.tick(probes)
    sampler.close()
    hidden = {bus for bus in {*on.values()} if buses.hidden(root, bus, service)}
    yield from sensor_checks.sensors(taken, on, hidden)


def _identity(config: Config, root: Path, found: Identity, *, exposed: tuple[str, str] | None) -> Iterator[Check]:
    enroll = config.enroll
    how = identities.Issuing(
        able=can_renew(enroll.issuer, renew_url=enroll.renew_url),
        validity_days=enroll.validity_days,
        token_file=Path(enroll.token_file),
        wants_token=enroll.issuer in {"cloudflare", "est"},
        zone_token=enroll.issuer == "cloudflare" and bool(enroll.zone_id),
        zone_missing=zone_missing(enroll.issuer, url=enroll.url, zone_id=enroll.zone_id),
        by_hand=enroll.issuer == "manual",
    )
    is_root = os.geteuid() == 0
    yield from identities.token(found, how, is_root=is_root)
    yield from identities.identity(found, how, now=parts.utc_now(), exposed=exposed, is_root=is_root)
    store = Path(config.identity.store_dir)
    yield from identities.under_way(store, root, found, now=parts.utc_now(), by_hand=how.by_hand)
    for path in (store, Path(config.identity.cert_file).parent):
        yield from disk.disk("identity disk", path, root)


def _online(config: Config, found: Identity, *, synchronised: bool) -> Iterator[Check]:
    """The way to the shield, then the shield; the issuer's too while there is no certificate to show."""
    where = parts.target(config)
    to = network.way("network", where.url, ca_file=where.ca_file, proxy=where.proxy)
    steps = list(network.network(to, synchronised=synchronised))
    yield from steps
    if steps[-1].result != "fail":
        yield from shields.shield(shields.ask(where, found.pair), where.url)
    enroll = config.enroll
    if found.state in {IdentityState.MISSING, IdentityState.EXPIRED} and enroll.issuer != "manual":
        ca_file = enroll.ca_file or where.ca_file
        to = network.way("issuer", enroll.url, ca_file=ca_file, proxy=where.proxy)
        yield from network.network(to, synchronised=synchronised)


def _daemon(root: Path, states: Mapping[str, units.State]) -> Check:
    try:
        directory = root / status_file.RUN_DIRECTORY
        return units.daemon(status_file.read(root), states, mute=directory if control.listens(directory) else None)
    except (OSError, ValueError) as error:
        return warn("daemon", f"its status cannot be read: {error}", "systemctl status sensor-agent")


def _answer(found: list[Check], *, as_json: bool) -> None:
    if as_json:
        lines = [{"name": each.name, "result": each.result, "saw": each.saw, "fix": each.fix} for each in found]
        write_json({"ok": not any(each.result == "fail" for each in found), "checks": lines})
    else:
        sys.stdout.writelines(_line(each) for each in found)


def _line(each: Check) -> str:
    """The mark, the name, what was seen, and the way out beneath it."""
    line = f"{mark(each.result)}  {each.name.ljust(NAME_WIDTH)}  {each.saw}\n"
    return line + (f"      next: {each.fix}\n" if each.fix and each.result != "ok" else "")


def _sum(found: list[Check]) -> str:
    """The last lines, for whoever is on the phone: how many, and where to begin."""
    count = Counter(each.result for each in found)
    first = next((each for result in ("fail", "warn") for each in found if each.result == result), None)
    begin = f"  next: {first.fix}\n" if first else ""
    return f"{len(found)} lines: {count['fail']} FAIL, {count['warn']} WARN\n{begin}"
