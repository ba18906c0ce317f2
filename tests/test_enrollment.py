"""Enrollment: whatever answers, is lost, or is cut off, running it again ends in one valid pair."""

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from world.crash import SWITCH, PowerCut
from world.identities import authority, put_pair
from world.issuer import SigningIssuer

from agent import pem
from agent.enrollment import Patience, Report, Wish, enroll
from agent.errors import AgentError, ConfigError, Refused, TryLater, UnusableAnswer
from agent.identity import Identity, IdentityState, load, paths
from agent.identity_store import IdentityStore

NAME = "sensor-001.devices.example.com"


def wish(directory: Path, *, name: str = NAME) -> Wish:
    return Wish(
        name=name,
        key_type="p256",
        validity_days=365,
        subject={"O": "Lab"},
        cert_file=directory / "certs" / "sensor.pem",
        key_file=directory / "private" / "sensor-key.pem",
    )


def run(
    directory: Path,
    issuer: SigningIssuer | Callable[[], SigningIssuer],
    *,
    wanted: Wish | None = None,
    now: datetime | None = None,
    force: bool = False,
    wait_seconds: float = 0.0,
    stop: threading.Event | None = None,
    clock_is_set: bool = False,
) -> Report:
    report = Report()
    enroll(
        wanted or wish(directory),
        IdentityStore(directory / "identity"),
        (lambda: issuer) if isinstance(issuer, SigningIssuer) else issuer,
        patience=Patience(lambda: now or datetime.now(UTC), wait_seconds, stop, clock_is_set=lambda: clock_is_set),
        report=report,
        force=force,
    )
    return report


def found(directory: Path) -> Identity:
    """What the daemon would find."""
    wanted = wish(directory)
    return load(paths(str(wanted.cert_file), str(wanted.key_file), {}), now=datetime.now(UTC))


def key_of(directory: Path) -> bytes:
    return wish(directory).key_file.read_bytes()


def no_token() -> SigningIssuer:
    raise Refused("no token")


def test_a_fresh_device_gets_a_pair(tmp_path: Path) -> None:
    report = run(tmp_path, SigningIssuer())
    assert (report.state, report.changed) == ("enrolled", True)
    assert found(tmp_path).state is IdentityState.ACTIVE
    assert report.certificate == found(tmp_path).certificate
    assert report.certificate is not None
    assert report.certificate.name == NAME


def test_nothing_is_left_of_the_request(tmp_path: Path) -> None:
    run(tmp_path, SigningIssuer())
    assert sorted(path.name for path in (tmp_path / "identity").iterdir()) == ["current", "gen", "lock"]


def test_an_enrolled_device_asks_nobody_and_needs_no_token(tmp_path: Path) -> None:
    run(tmp_path, SigningIssuer())
    before = key_of(tmp_path)
    report = run(tmp_path, no_token)
    assert (report.state, report.changed) == ("enrolled", False)
    assert key_of(tmp_path) == before


def test_force_makes_a_new_key_and_certificate(tmp_path: Path) -> None:
    issuer = SigningIssuer()
    first = run(tmp_path, issuer).certificate
    before = key_of(tmp_path)
    second = run(tmp_path, issuer, force=True).certificate
    assert key_of(tmp_path) != before
    assert first != second


def test_an_expired_pair_is_replaced(tmp_path: Path) -> None:
    run(tmp_path, SigningIssuer())
    now = datetime.now(UTC) + timedelta(days=400)

    def sign_later(request: bytes) -> bytes:
        return authority().sign(request, not_before=now - timedelta(hours=1))

    assert run(tmp_path, SigningIssuer(sign=sign_later), now=now).changed


def test_a_pair_whose_two_places_are_gone_is_put_back_without_asking(tmp_path: Path) -> None:
    run(tmp_path, SigningIssuer())
    before = key_of(tmp_path)
    for place in ("certs", "private"):
        shutil.rmtree(tmp_path / place)
    run(tmp_path, no_token)
    assert found(tmp_path).state is IdentityState.ACTIVE
    assert key_of(tmp_path) == before


@pytest.mark.parametrize("state", ["key only", "foreign pair", "foreign expired pair"])
def test_files_of_somebody_else_are_never_overwritten(tmp_path: Path, state: str) -> None:
    wanted = wish(tmp_path)
    old = datetime.now(UTC) - timedelta(days=2)
    cert, key = put_pair(tmp_path / "made", not_before=old - timedelta(days=9), not_after=old)
    for place in (wanted.cert_file, wanted.key_file):
        place.parent.mkdir()
    wanted.key_file.write_bytes(Path(key).read_bytes())
    if state != "key only":
        wanted.cert_file.write_bytes(Path(cert).read_bytes())
    issuer = SigningIssuer()
    with pytest.raises(ConfigError, match="put there by somebody else"):
        run(tmp_path, issuer, force=state == "foreign pair")
    assert wanted.key_file.read_bytes() == Path(key).read_bytes()
    assert issuer.asked == 0


def test_a_valid_pair_of_somebody_else_is_used(tmp_path: Path) -> None:
    wanted = wish(tmp_path)
    cert, key = put_pair(tmp_path / "made")
    report = run(tmp_path, no_token, wanted=replace(wanted, cert_file=Path(cert), key_file=Path(key)))
    assert (report.state, report.changed) == ("enrolled", False)


def test_an_answer_that_got_lost_is_found_and_costs_no_second_certificate(tmp_path: Path) -> None:
    issuer = SigningIssuer(TryLater("the connection broke"), lost=True)
    with pytest.raises(TryLater):
        run(tmp_path, issuer)
    report = run(tmp_path, issuer)
    assert (report.changed, issuer.asked, len(issuer.issued)) == (True, 1, 1)
    assert found(tmp_path).state is IdentityState.ACTIVE


def test_an_answer_lost_within_the_waiting_time_costs_none_either(tmp_path: Path) -> None:
    issuer = SigningIssuer(TryLater("the connection broke"), lost=True)
    run(tmp_path, issuer, wait_seconds=20)
    assert len(issuer.issued) == 1


@pytest.mark.parametrize("name", ["key.pem", "request.pem"])
def test_a_damaged_request_under_way_is_made_anew(tmp_path: Path, name: str) -> None:
    issuer = SigningIssuer(TryLater("not now"))
    with pytest.raises(TryLater):
        run(tmp_path, issuer)
    (tmp_path / "identity" / "pending" / name).write_bytes(b"-----BEGIN bit rot")
    assert run(tmp_path, issuer).changed
    assert found(tmp_path).state is IdentityState.ACTIVE


def test_key_and_request_are_kept_before_the_issuer_hears_of_them(tmp_path: Path) -> None:
    issuer = SigningIssuer()
    seen: list[list[str]] = []
    issuer.watch = lambda: seen.append(sorted(path.name for path in (tmp_path / "identity" / "pending").iterdir()))
    run(tmp_path, issuer)
    assert seen == [["asked.json", "issued.json.new", "key.pem", "request.pem", "wanted.json"]]


def test_the_same_key_is_asked_for_again_after_a_failure(tmp_path: Path) -> None:
    issuer = SigningIssuer(TryLater("503"))
    with pytest.raises(TryLater):
        run(tmp_path, issuer)
    kept = (tmp_path / "identity" / "pending" / "key.pem").read_bytes()
    run(tmp_path, issuer)
    assert key_of(tmp_path) == kept


def test_another_name_in_the_configuration_makes_another_request(tmp_path: Path) -> None:
    issuer = SigningIssuer(Refused("no such device"))
    with pytest.raises(Refused):
        run(tmp_path, issuer)
    report = run(tmp_path, issuer, wanted=wish(tmp_path, name="sensor-002"))
    assert report.certificate is not None
    assert report.certificate.name == "sensor-002"


def wrong_key(_: bytes) -> bytes:
    return authority().sign(pem.signing_request(pem.new_key("p256"), name=NAME, subject={}))


def expired(request: bytes) -> bytes:
    now = datetime.now(UTC)
    return authority().sign(request, not_before=now - timedelta(days=9), not_after=now - timedelta(days=1))


def server_only(request: bytes) -> bytes:
    return authority().sign(request, usage="server")


def twenty_days_on(request: bytes) -> bytes:
    return authority().sign(request, not_before=datetime.now(UTC) + timedelta(days=20))


@pytest.mark.parametrize("sign", [wrong_key, expired, server_only, lambda _: b"<html>", lambda request: request])
def test_an_unusable_certificate_is_refused_and_a_good_one_taken_later(
    tmp_path: Path, sign: Callable[[bytes], bytes]
) -> None:
    issuer = SigningIssuer(sign=sign)
    with pytest.raises(UnusableAnswer) as raised:
        run(tmp_path, issuer)
    assert raised.value.exit_code == 65
    assert found(tmp_path).state is IdentityState.MISSING
    issuer._sign = authority().sign
    run(tmp_path, issuer)
    assert found(tmp_path).state is IdentityState.ACTIVE


def test_a_refused_renewal_leaves_the_pair_in_force(tmp_path: Path) -> None:
    run(tmp_path, SigningIssuer())
    before = found(tmp_path)
    with pytest.raises(Refused):
        run(tmp_path, SigningIssuer(Refused("quota")), force=True)
    assert found(tmp_path) == before


@pytest.mark.parametrize("error", [Refused("no"), ConfigError("no zone"), UnusableAnswer("HTML")])
def test_what_waiting_cannot_mend_is_not_waited_for(tmp_path: Path, error: AgentError) -> None:
    issuer = SigningIssuer(error)
    with pytest.raises(type(error)):
        run(tmp_path, issuer, wait_seconds=60)
    assert issuer.asked == 1


def test_without_waiting_a_passing_fault_ends_the_run_at_once(tmp_path: Path) -> None:
    issuer = SigningIssuer(TryLater("503"), TryLater("503"))
    with pytest.raises(TryLater):
        run(tmp_path, issuer)
    assert issuer.asked == 1


class WithoutList(SigningIssuer):
    """As an EST server."""

    def find(self, request_pem: bytes) -> None:
        del request_pem


@pytest.mark.parametrize("wait_seconds", [0.0, 0.5])
def test_a_slow_clock_keeps_the_certificate_and_asks_for_no_second_one(tmp_path: Path, wait_seconds: float) -> None:
    # as of a board that was off for weeks: later than this code, and earlier than the certificate
    issuer = WithoutList(sign=twenty_days_on)
    for _ in range(3):
        with pytest.raises(TryLater, match="clock says") as raised:
            run(tmp_path, issuer, wait_seconds=wait_seconds)
        assert "timedatectl" in raised.value.hint
    run(tmp_path, no_token, now=datetime.now(UTC) + timedelta(days=20))
    assert issuer.asked == 1
    assert wish(tmp_path).key_file.exists()


def test_a_clock_that_is_set_while_enrollment_waits_lets_it_go_on(tmp_path: Path) -> None:
    issuer, clock = SigningIssuer(sign=twenty_days_on), [datetime.now(UTC)]
    issuer.watch = lambda: threading.Timer(0.2, clock.append, [datetime.now(UTC) + timedelta(days=20)]).start()
    report = Report()
    patience = Patience(lambda: clock[-1], 20.0)
    enroll(wish(tmp_path), IdentityStore(tmp_path / "identity"), lambda: issuer, patience=patience, report=report)
    assert (report.changed, issuer.asked) == (True, 1)


def test_a_certificate_of_the_list_that_only_a_slow_clock_turns_down_is_not_issued_again(tmp_path: Path) -> None:
    issuer = SigningIssuer(TryLater("the connection broke"), lost=True, sign=twenty_days_on)
    for _ in range(3):
        with pytest.raises(TryLater):
            run(tmp_path, issuer)
    assert len(issuer.issued) == 1


def test_a_certificate_of_a_fast_issuer_gives_way_to_another_once_this_clock_is_set(tmp_path: Path) -> None:
    issuer = SigningIssuer(sign=twenty_days_on)
    with pytest.raises(TryLater) as waits:
        run(tmp_path, issuer)
    assert "sudo sensor-agent identity reset" in waits.value.hint  # the way out where no clock is ever set
    for _ in range(2):  # the kept one, and one that comes as wrong while the clock is set
        with pytest.raises(UnusableAnswer, match="begins on"):
            run(tmp_path, issuer, clock_is_set=True)
    issuer._sign = authority().sign
    run(tmp_path, issuer, clock_is_set=True)
    assert found(tmp_path).state is IdentityState.ACTIVE


def test_a_pair_in_force_that_is_of_the_future_does_not_keep_a_set_clock_from_asking(tmp_path: Path) -> None:
    run(tmp_path, SigningIssuer(sign=twenty_days_on), now=datetime.now(UTC) + timedelta(days=20))
    with pytest.raises(TryLater, match="clock says"):
        run(tmp_path, SigningIssuer(), force=True)
    assert run(tmp_path, SigningIssuer(), force=True, clock_is_set=True).changed


@pytest.mark.parametrize("after", [0.0, 0.1])
def test_waiting_ends_when_its_time_is_over(tmp_path: Path, after: float) -> None:
    issuer = SigningIssuer(*[TryLater("503", after=after) for _ in range(99)])
    begun = time.monotonic()
    with pytest.raises(TryLater):
        run(tmp_path, issuer, wait_seconds=0.3)
    assert time.monotonic() - begun < 3
    assert issuer.asked >= 2


def test_nobody_is_asked_again_before_the_time_that_the_issuer_names(tmp_path: Path) -> None:
    issuer = SigningIssuer(*[TryLater("429", after=300.0) for _ in range(9)])
    with pytest.raises(TryLater):
        run(tmp_path, issuer, wait_seconds=60)
    assert issuer.asked == 1


def test_waiting_ends_at_once_when_told_to_stop(tmp_path: Path) -> None:
    issuer = SigningIssuer(*[TryLater("429", after=300.0) for _ in range(9)])
    stop = threading.Event()
    issuer.watch = lambda: threading.Timer(0.1, stop.set).start()
    begun = time.monotonic()
    with pytest.raises(TryLater):
        run(tmp_path, issuer, wait_seconds=600, stop=stop)
    assert time.monotonic() - begun < 3
    assert issuer.asked == 1


def cut_off(directory: Path, issuer: SigningIssuer, *, at: int, force: bool = False) -> str:
    """Where an enrollment was cut off, at that file operation; empty if it came to its end before."""
    try:
        with SWITCH.cut(directory, at=at):
            run(directory, issuer, force=force)
    except PowerCut as cut:
        return str(cut)
    return ""


def test_a_cut_at_every_file_operation_leaves_the_old_state_or_the_new_and_a_rerun_ends_in_one_pair(
    tmp_path: Path,
) -> None:
    for at in range(1, 1000):
        directory, issuer = tmp_path / str(at), SigningIssuer()
        directory.mkdir()
        cut = cut_off(directory, issuer, at=at)
        if not cut:
            break
        assert found(directory).state in {IdentityState.MISSING, IdentityState.ACTIVE}, cut
        kept = directory / "identity" / "pending" / "wanted.json"
        key = kept.with_name("key.pem").read_bytes() if kept.exists() else None
        run(directory, issuer)
        assert found(directory).state is IdentityState.ACTIVE, cut
        assert len(issuer.issued) == 1, cut
        assert key in {None, key_of(directory)}, cut
    assert at > 40


def test_a_cut_at_every_file_operation_of_a_renewal_never_leaves_the_device_without_a_pair(tmp_path: Path) -> None:
    run(tmp_path, SigningIssuer())
    for at in range(1, 1000):
        cut = cut_off(tmp_path, SigningIssuer(), at=at, force=True)
        if not cut:
            break
        assert found(tmp_path).state is IdentityState.ACTIVE, cut
    assert at > 30
    assert sorted(path.name for path in (tmp_path / "identity").iterdir()) == ["current", "gen", "lock"]
