"""Power cuts after every system call of enrollments and renewals: the pair in force is whole, and none is paid twice.

A process enrolls, enrolls again by force, and renews twice, under strace; the issuer, who lives elsewhere, forgets
nothing. What a cut may leave is opened as the daemon would, and then the command under way is run again.
"""

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from power.recorded import Mark, Sync
from power.survey import SEED, memory
from power.trees import ROOT, Event, Made, TreeDisk, record
from world.issuer import SigningIssuer

from agent.certificate import parse
from agent.enrollment import Credentials, Patience, Report, Wish, enroll, renew
from agent.errors import AgentError
from agent.identity import Identity, IdentityState, load, paths
from agent.identity_store import IdentityStore

LIVES = ("enroll", "force", "renew", "renew")  # the fourth pair makes the store drop the first
CUTS = 2  # after each event

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None, reason="a power cut is cut out of a recording by strace, which is not installed"
)

# says which certificate the issuer gave and which run came to its end; what was given is kept beside the log
WORK = """
import os, sys
from pathlib import Path
from power.test_identity_power import LIVES, run
from world.issuer import SigningIssuer
directory, given = Path(sys.argv[1]), Path(sys.argv[2])

class Telling(SigningIssuer):
    def issue(self, request_pem, *, validity_days):
        issued = super().issue(request_pem, validity_days=validity_days)
        number = len(self.issued)
        for name, text in zip(("request", "certificate"), self.issued[-1]):
            (given / f"{number}.{name}").write_bytes(text)
        os.write(1, b"issued\\n")
        return issued

issuer = Telling()
for life in LIVES:
    run(directory, issuer, life)
    os.write(1, b"returned\\n")
"""


@dataclass(frozen=True, slots=True)
class Recording:
    """Four lives of a store, event by event; what the issuer gave (request, certificate); where it all was."""

    events: list[Event]
    given: list[tuple[bytes, bytes]]
    directory: Path


def wish(directory: Path) -> Wish:
    places = directory / "certs" / "sensor.pem", directory / "private" / "sensor-key.pem"
    return Wish("sensor-001.devices.example.com", "p256", 365, {}, *places)


def run(directory: Path, issuer: SigningIssuer, life: str) -> None:
    store, patience = IdentityStore(directory / "identity"), Patience(lambda: datetime.now(UTC))
    if life == "renew":
        by_token = Credentials("cloudflare", None, lambda: issuer)
        renew(wish(directory), store, by_token, patience=patience, report=Report(), force=True)
    else:
        enroll(wish(directory), store, lambda: issuer, patience=patience, report=Report(), force=life == "force")


def found(directory: Path) -> Identity:
    """What the daemon would find."""
    wanted = wish(directory)
    return load(paths(str(wanted.cert_file), str(wanted.key_file), {}), now=datetime.now(UTC))


@pytest.fixture(scope="module")
def recorded() -> Iterator[Recording]:
    with TemporaryDirectory(prefix="test-power-", dir=memory()) as scratch:
        directory, given = Path(scratch) / "device", Path(scratch) / "given"
        directory.mkdir()
        given.mkdir()
        events = record(WORK, directory, Path(scratch) / "log", str(given))
        assert found(directory).state is IdentityState.ACTIVE
        numbers = range(1, len(LIVES) + 1)
        pairs = [
            ((given / f"{number}.request").read_bytes(), (given / f"{number}.certificate").read_bytes())
            for number in numbers
        ]
        yield Recording(events, pairs, directory)


def complaint(recorded: Recording, issued: int, returned: int) -> str:
    """What the state in the directory breaks of the rules; empty if it keeps them."""
    known = {parse(certificate).serial: number for number, (_, certificate) in enumerate(recorded.given, 1)}
    identity = found(recorded.directory)
    if identity.state not in {IdentityState.ACTIVE, IdentityState.MISSING}:
        return f"{identity.state}: {identity.detail}"
    live = known[identity.certificate.serial] if identity.pair and identity.certificate else 0
    if not returned <= live <= issued:
        return f"pair {live} is in force, {returned} had been promised: {identity.detail}"
    issuer = SigningIssuer()
    issuer.issued = recorded.given[:issued]
    again = "enroll" if live > returned or returned == len(LIVES) else LIVES[returned]
    try:
        run(recorded.directory, issuer, again)
    except (AgentError, ValueError) as error:  # what is damaged may not even be PEM
        return f"{again} again: {error}"
    identity = found(recorded.directory)
    last = issuer.issued[-1][1]
    if identity.certificate != parse(last) or identity.state is not IdentityState.ACTIVE:
        return f"{again} again: {identity.state} {identity.detail}"
    wanted = min(returned + 1, len(LIVES))
    return "" if len(issuer.issued) == wanted else f"{again} again: {len(issuer.issued)} certificates, not {wanted}"


def complaints(recorded: Recording, plays: Callable[[Event], bool] = lambda _: True) -> Iterator[str]:
    """One line of each cut, empty where the rules were kept; `plays` says which events the disk hears of."""
    chance, disk = random.Random(SEED), TreeDisk()
    issued = returned = 0
    for moment, event in enumerate(recorded.events, 1):
        if isinstance(event, Mark):
            issued += event.text == "issued"
            returned += event.text == "returned"
        elif plays(event):
            disk.play(event)
        for _ in range(CUTS):
            shutil.rmtree(recorded.directory)
            recorded.directory.mkdir()
            collateral, any_order = chance.random() < 0.5, chance.random() < 0.5
            disk.cut(chance, recorded.directory, collateral=collateral, any_order=any_order)
            said = complaint(recorded, issued, returned)
            yield f"event {moment}, {event}: {said}" if said else ""


def test_a_power_cut_leaves_a_whole_pair_or_none_and_a_rerun_pays_for_no_second_one(recorded: Recording) -> None:
    lines = list(complaints(recorded))
    assert len(lines) > 500
    assert not any(lines), "\n".join(filter(None, lines))


@pytest.mark.parametrize("ignored", ["files", "directories"])
def test_the_harness_sees_what_is_lost_without_syncs(recorded: Recording, ignored: str) -> None:
    directories = {ROOT, *(event.inode for event in recorded.events if isinstance(event, Made) and not event.target)}

    def plays(event: Event) -> bool:
        return not isinstance(event, Sync) or (event.inode in directories) != (ignored == "directories")

    assert any(complaints(recorded, plays))
