"""Renewal: when it is due, with which credential, seen by the shield before the switch, and the way back."""

import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from world.crash import SWITCH, PowerCut
from world.enrollee import NAME, Api, Enrollee
from world.est import est_server
from world.identities import authority
from world.issuer import SigningIssuer
from world.server import serving

from agent import pem
from agent.certificate import parse
from agent.devshield.registration.office import RegistrationAuthority, Setup
from agent.devshield.registration.policy import Policy
from agent.enrollment import Credentials, Patience, Report, Seen, Wish, current, enroll, renew
from agent.errors import AgentError, IdentityError, Refused, TryLater
from agent.identity import Identity, IdentityState
from agent.identity_store import IdentityStore
from agent.renewal import WARNING_DAYS, warning

BORN = datetime.now(UTC).replace(microsecond=0)
DUE = BORN + timedelta(days=250)  # of 365 days, two thirds are 243
EARLY = BORN + timedelta(days=200)


@dataclass
class Board:
    """A device whose clock the test sets, with issuers that sign at once."""

    directory: Path
    now: datetime = BORN
    by_pair: SigningIssuer | None = field(default_factory=SigningIssuer)
    by_token: SigningIssuer | None = None
    shown: list[tuple[str, str]] = field(default_factory=list)

    @property
    def wish(self) -> Wish:
        return Wish(NAME, "p256", 365, {}, self.directory / "sensor.pem", self.directory / "sensor-key.pem")

    @property
    def store(self) -> IdentityStore:
        return IdentityStore(self.directory / "identity")

    def sign(self, request: bytes) -> bytes:
        return authority().sign(request, not_before=self.now, not_after=self.now + timedelta(days=365))

    def enroll(
        self,
        *,
        force: bool = False,
        issuer: SigningIssuer | None = None,
        wish: Wish | None = None,
        now: datetime | None = None,
    ) -> None:
        asked = issuer or SigningIssuer(sign=self.sign)
        enroll(
            wish or self.wish,
            self.store,
            lambda: asked,
            patience=Patience(lambda: now or self.now),
            report=Report(),
            force=force,
        )

    def renew(self, *, now: datetime, probe: Seen = Seen.UNKNOWN, wish: Wish | None = None, **settings: bool) -> Report:
        self.now = now
        for issuer in (self.by_pair, self.by_token):
            if issuer is not None:
                issuer._sign = self.sign
        report = Report()

        def with_pair(pair: tuple[str, str]) -> SigningIssuer:
            self.shown.append(pair)
            assert self.by_pair is not None
            return self.by_pair

        def with_token() -> SigningIssuer:
            if self.by_token is None:
                raise Refused("no token")
            return self.by_token

        renew(
            wish or self.wish,
            self.store,
            Credentials("cloudflare", with_pair if self.by_pair else None, with_token),
            patience=Patience(lambda: self.now),
            report=report,
            probe=lambda _: probe,
            **settings,
        )
        return report

    def found(self) -> Identity:
        return current(self.wish, now=self.now)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """One that was enrolled when it was born."""
    made = Board(tmp_path)
    made.enroll()
    return made


def test_before_two_thirds_of_its_life_nothing_is_asked_and_the_date_is_said(board: Board) -> None:
    before = board.found()
    report = board.renew(now=EARLY)
    assert before.certificate is not None
    assert (report.changed, board.shown) == (False, [])
    assert report.steps[-1].detail == f"not due before {before.certificate.renews_after:%Y-%m-%dT%H:%M:%SZ}"
    assert board.found() == before


def test_after_it_the_old_pair_buys_a_new_key_and_certificate(board: Board) -> None:
    old_key, old = board.wish.key_file.read_bytes(), board.found()
    report = board.renew(now=DUE)
    assert report.changed
    assert board.shown == [old.pair]
    assert board.wish.key_file.read_bytes() != old_key
    new = board.found()
    assert (new.state, new.certificate != old.certificate) == (IdentityState.ACTIVE, True)


def test_force_renews_what_is_not_due(board: Board) -> None:
    assert board.renew(now=EARLY, force=True).changed


def test_it_keeps_the_names_of_the_certificate_whatever_the_configuration_says_now(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.enroll()
    request = pem.signing_request(pem.new_key("p256"), name="renamed", subject={"O": "Lab"})
    text = authority().sign(request, not_before=BORN, not_after=BORN + timedelta(days=365))
    like = pem.signing_request(pem.new_key("p256"), name="another", subject={}, like=text)
    assert pem.check_issued(authority().sign(like), request_pem=like, now=datetime.now(UTC)) == []
    assert parse(authority().sign(like)).name == "renamed"


def test_without_an_identity_there_is_nothing_to_renew(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="no certificate") as raised:
        Board(tmp_path).renew(now=DUE)
    assert (raised.value.exit_code, raised.value.hint) == (78, "sudo sensor-agent enroll")


@pytest.mark.parametrize(("days_left", "code"), [(100, 0), (20, 77)])
def test_an_issuer_that_cannot_renew_is_told_with_the_date_and_fails_when_it_presses(
    board: Board, days_left: int, code: int
) -> None:
    board.by_pair = None
    now = BORN + timedelta(days=365 - days_left)
    if code == 0:
        said = board.renew(now=now).steps[-1].detail
    else:
        with pytest.raises(Refused) as raised:
            board.renew(now=now)
        assert raised.value.exit_code == code
        said = str(raised.value)
    assert f"ends on {BORN + timedelta(days=365):%Y-%m-%d}" in said
    assert "cannot renew by itself" in said
    assert board.store.request.stage() is None  # nothing is begun that no command would end


def test_a_token_that_lies_ready_renews_where_the_issuer_cannot(board: Board) -> None:
    board.by_pair, board.by_token = None, SigningIssuer()
    assert board.renew(now=DUE).changed


def test_an_expired_pair_takes_a_token_first(board: Board) -> None:
    board.by_token = SigningIssuer()
    assert board.renew(now=BORN + timedelta(days=400)).changed
    assert board.shown == []


def test_a_token_that_was_used_before_does_not_keep_an_issuer_from_giving_grace(board: Board) -> None:
    board.by_token = SigningIssuer(Refused("the token was used"))
    report = board.renew(now=BORN + timedelta(days=400))
    assert (report.changed, board.by_token.asked, len(board.shown)) == (True, 1, 1)
    assert board.by_token.closed == 1


def test_where_token_and_expired_pair_are_refused_the_way_out_is_named(board: Board) -> None:
    board.by_token, board.by_pair = SigningIssuer(Refused("used")), SigningIssuer(Refused("no grace"))
    with pytest.raises(Refused, match="no grace") as raised:
        board.renew(now=BORN + timedelta(days=400))
    assert "sudo sensor-agent enroll --force --token-file" in raised.value.hint


def test_a_lost_answer_is_asked_for_again_with_the_same_key(board: Board) -> None:
    issuer = SigningIssuer(TryLater("gone"), lost=True)
    board.by_pair = issuer
    with pytest.raises(TryLater):
        board.renew(now=DUE)
    assert board.renew(now=DUE).changed
    assert len(issuer.issued) == 1


@pytest.mark.parametrize("first", ["enroll", "renew"])
def test_enrollment_and_renewal_go_on_with_one_anothers_request(board: Board, first: str) -> None:
    # of an expired device with a fresh token: a timer each, and the issuer binds the token to the key that came first
    renamed = replace(board.wish, name="renamed")
    issuer, later = SigningIssuer(*[TryLater("503")] * 4), BORN + timedelta(days=400)
    keys, board.by_token, board.now = [], issuer, later
    for command in [first, "enroll", "renew", first]:
        with pytest.raises(TryLater):
            board.renew(now=later, wish=renamed) if command == "renew" else board.enroll(issuer=issuer, wish=renamed)
        keys.append(board.store.request.part("key.pem"))
    assert keys.count(keys[0]) == 4
    assert board.renew(now=later, wish=renamed).changed
    assert board.wish.key_file.read_bytes() == keys[0]


def test_a_renewal_takes_the_certificate_that_an_enrollment_keeps_for_a_slow_clock(board: Board) -> None:
    later = BORN + timedelta(days=400)
    board.now, slow = later, later - timedelta(days=3)
    with pytest.raises(TryLater, match="clock says"):
        board.enroll(issuer=SigningIssuer(sign=board.sign), now=slow)
    with pytest.raises(TryLater, match="clock says"):
        board.renew(now=slow)
    board.by_pair = SigningIssuer(Refused("not asked"))
    assert board.renew(now=later).changed


def test_a_new_pair_that_the_shield_takes_lets_the_old_one_go(board: Board) -> None:
    issuer = SigningIssuer()
    board.by_pair = issuer
    board.renew(now=DUE, probe=Seen.ACCEPTED)
    assert [old for old, _ in issuer.settled] == ["id-1"]


@pytest.mark.parametrize("seen", [Seen.UNKNOWN, Seen.REFUSED])
def test_the_old_one_is_kept_in_force_while_nobody_has_seen_the_new(board: Board, seen: Seen) -> None:
    # refused alike, old and new: the shield says nothing about this pair, and the switch is made
    issuer = SigningIssuer()
    board.by_pair = issuer
    assert board.renew(now=DUE, probe=seen).changed
    assert issuer.settled == []


@pytest.mark.parametrize(
    ("held", "old_accepted", "back"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_held_line_goes_back_to_the_pair_before_only_if_the_shield_takes_that_one(
    board: Board, held: bool, old_accepted: bool, back: bool
) -> None:
    first = board.found().certificate
    board.now = EARLY
    board.enroll(force=True)
    report = Report()
    answers = {"000001": Seen.ACCEPTED if old_accepted else Seen.REFUSED, "000002": Seen.REFUSED}
    renew(
        board.wish,
        board.store,
        Credentials("x", None, SigningIssuer),
        patience=Patience(lambda: EARLY),
        report=report,
        probe=lambda pair: answers[Path(pair[0]).parent.name],
        held=held,
    )
    assert (board.found().certificate == first) is back
    assert report.changed is back


def test_a_key_that_a_tpm_holds_is_told_by_its_label_alone(board: Board) -> None:
    # the label is enough: the file is not opened, which only OpenSSL with the right provider could
    text = b"-----BEGIN TSS2 PRIVATE KEY-----\nMIIB\n-----END TSS2 PRIVATE KEY-----\n"
    assert pem.held_elsewhere(text)
    assert not pem.held_elsewhere(board.wish.key_file.read_bytes())
    for label in (b"EC PRIVATE KEY", b"RSA PRIVATE KEY", b"ENCRYPTED PRIVATE KEY"):
        assert not pem.held_elsewhere(text.replace(b"TSS2 PRIVATE KEY", label))


def cut_off(board: Board, *, at: int, now: datetime) -> bool:
    """Whether the renewal was cut off at that file operation."""
    try:
        with SWITCH.cut(board.directory, at=at):
            board.renew(now=now)
    except PowerCut:
        return True
    return False


def test_a_cut_at_every_file_operation_leaves_a_valid_pair_and_a_rerun_ends_in_one_new_one(tmp_path: Path) -> None:
    cuts = 0
    for at in range(1, 1000):
        directory = tmp_path / str(at)
        directory.mkdir()
        board = Board(directory)
        board.enroll()
        first = board.found().certificate
        issuer = board.by_pair
        if not cut_off(board, at=at, now=DUE):
            break
        cuts += 1
        assert board.found().state is IdentityState.ACTIVE, at
        board.renew(now=DUE)
        assert (board.found().state, board.found().certificate != first) == (IdentityState.ACTIVE, True), at
        assert issuer is not None
        assert len(issuer.issued) == 1, at
    assert cuts > 40


@pytest.mark.parametrize(
    ("days_left", "told", "step"),
    [(31, None, None), (30, None, 30), (29, 30, None), (15, 30, None), (14, 30, 14), (7, 14, 7), (3, 7, 3), (1, 3, 1),
     (0, 1, None), (-5, 1, None), (2, None, 3), (-5, None, 1)],
)  # fmt: skip
def test_each_warning_is_given_once(days_left: int, told: int | None, step: int | None) -> None:
    assert warning(days_left, told) == step


def test_warnings_of_a_year_without_renewal(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    board.by_pair = None
    for day in range(240, 366):
        try:
            board.renew(now=BORN + timedelta(days=day, hours=1))
        except AgentError:
            continue
    given = [record.DAYS_LEFT for record in caplog.records if record.message == "certificate ends"]  # type: ignore[attr-defined]
    assert len(given) == len(WARNING_DAYS)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[RegistrationAuthority]:
    """A registration authority with an authority of its own; certificates of 30 days."""
    with ExitStack() as undo:
        setup = Setup(tmp_path / "office", Policy(("sensor-*.devices.example.com",), 30))
        yield undo.enter_context(RegistrationAuthority(setup))


def test_a_registration_authority_renews_over_mutual_tls_and_puts_the_old_one_out_of_force(
    tmp_path: Path, office: RegistrationAuthority
) -> None:
    device = Enrollee(tmp_path / "device")
    ca_file, url = Path(office.where["ca_file"]), office.where["url"]
    device.token.write_text(office.ledger.new_token(expires=4e9))
    (tmp_path / "shield").mkdir()
    with serving(tmp_path / "shield", Api()) as shield:
        # the shield's server certificate is of the tests' authority, the office's of its own
        both = tmp_path / "both.pem"
        both.write_bytes(ca_file.read_bytes() + authority().certificate_file.read_bytes())
        device.configure(url=url, zone_id="", ca_file=both, shield=shield.url, more=f'renew_url = "{url}"')
        assert device("enroll").answer["can_renew"] is True
        device.token.unlink()
        first = parse(device.cert.read_bytes())
        assert device("renew").answer["changed"] is False
        done = device("renew", "--force")
        assert (done.code, done.answer["changed"]) == (0, True), done.said
    second = parse(device.cert.read_bytes())
    states = {entry.fingerprint_sha256: entry.state for entry in office.ledger.entries()}
    assert states == {first.fingerprint_sha256: "replaced", second.fingerprint_sha256: "issued"}
    assert (second.name, done.answer["steps"][-1]["name"]) == (NAME, "settle")


def test_an_est_server_renews_over_mutual_tls(tmp_path: Path) -> None:
    device = Enrollee(tmp_path / "device")
    with est_server(tmp_path / "est", passwords={"sensor-001": "once"}) as server:
        device.configure(issuer="est", url=server.url)
        device.token.write_text("sensor-001:once\n")
        assert device("enroll").code == 0
        device.token.unlink()
        done = device("renew", "--force")
        assert (done.code, done.answer["changed"]) == (0, True), done.said
    assert [operation for operation, _, _ in server.seen if operation] == ["simpleenroll", "simplereenroll"]


def test_a_zones_old_certificate_is_revoked_once_the_shield_has_seen_the_new(tmp_path: Path) -> None:
    device, api = Enrollee(tmp_path / "device"), Api()
    (tmp_path / "shield").mkdir()
    with serving(tmp_path / "shield", Api()) as shield, device.asking(api, shield=shield.url):
        assert device("enroll").code == 0
        done = device("enroll", "--force")
    assert done.code == 0
    assert [each["id"] for each in api.issued] == ["id-2"]
    assert "the certificate before, id-1, is revoked" in done.said


def test_what_was_noted_of_a_pair_says_who_issued_it(board: Board) -> None:
    meta = json.loads((board.store.directory / "current" / "meta.json").read_text())
    assert (meta["issuer"], meta["issuer_id"], meta["name"]) == ("cloudflare", "id-1", NAME)
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(board.wish.cert_file, board.wish.key_file)
