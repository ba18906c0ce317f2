"""Everything that can go wrong with an identity, a row each: what the device does, says, and exits with."""

import functools
import json
import shutil
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from world.boards import put_board
from world.crash import SWITCH, PowerCut
from world.disk import Disk
from world.enrollee import NAME, Api, Enrollee
from world.identities import authority
from world.server import Step, answer, raw, refuses_all_but, serving
from world.users import as_nobody

from agent import pem
from agent.certificate import parse
from agent.devshield.authority import Authority
from agent.enrollment import Patience, Report, enroll
from agent.enrollment.records import Wish
from agent.errors import Refused, TryLater
from agent.identity_store import IdentityStore
from agent.issuers.cloudflare import YOUNG_TOKEN, CloudflareIssuer

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
FORBIDDEN = b'{"success": false, "result": null, "errors": [{"code": 10000, "message": "Authentication error"}]}'


@pytest.fixture
def device(tmp_path: Path) -> Enrollee:
    """A board that was never enrolled."""
    return Enrollee(tmp_path / "device")


def enrolled(device: Enrollee, api: Api | None = None) -> Api:
    """Enroll it; gives the API that signed."""
    api = api or Api()
    with device.asking(api):
        assert device("enroll").code == 0
    return api


def signed_from(begin: datetime, end: datetime) -> Callable[[bytes], bytes]:
    """Signs with that validity."""
    return functools.partial(authority().sign, not_before=begin, not_after=end)


@pytest.mark.parametrize("url", ["https://127.0.0.1:9", "https://issuer.invalid"])
def test_row_01_no_network_or_dns_keeps_key_and_request_and_exits_75(device: Enrollee, url: str) -> None:
    device.configure(url=url)
    done = device("enroll")
    assert (done.code, done.answer["state"]) == (75, "waiting")
    assert device.pending_request()


def test_row_02_a_clock_before_the_code_asks_nobody_and_exits_75(device: Enrollee) -> None:
    api = Api()
    with device.asking(api) as server, pytest.raises(TryLater, match="clock says 1970-01-01") as raised:
        enroll(
            Wish(NAME, "p256", 365, {}, device.cert, device.key),
            IdentityStore(device.store),
            lambda: CloudflareIssuer(
                url=f"https://127.0.0.1:{server.port}",
                zone_id="",
                token="t",
                ca_file=str(authority().certificate_file),
            ),
            patience=Patience(lambda: datetime(1970, 1, 1, tzinfo=UTC)),
            report=Report(),
        )
    assert (raised.value.exit_code, server.connections) == (75, 0)


@pytest.mark.parametrize(
    ("row", "begin", "end", "says"),
    [(3, NOW + DAY, NOW + 2 * DAY, "not yet valid by this device's clock"), (4, NOW - 2 * DAY, NOW - DAY, "expired")],
)
def test_row_03_and_04_a_server_out_of_date_is_told_as_such_and_exits_75(
    device: Enrollee, tmp_path: Path, row: int, begin: datetime, end: datetime, says: str
) -> None:
    key = pem.new_key("p256")
    request = pem.signing_request(key, name="127.0.0.1", subject={})
    certificate = authority().sign(request, not_before=begin, not_after=end, usage="server")
    with serving(tmp_path, Api(), pair=(key, certificate)) as server:
        device.configure(url=f"https://127.0.0.1:{server.port}")
        done = device("enroll")
    assert (done.code, server.bytes_seen) == (75, 0), row
    assert says in done.said
    assert "timedatectl" in done.said


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_row_05_an_intercepted_connection_never_sees_the_token_and_exits_78(
    device: Enrollee, tmp_path: Path, wrong: str
) -> None:
    other = Authority.create(tmp_path) if wrong == "authority" else authority()
    pair = other.issue_server(["127.0.0.1" if wrong == "authority" else "elsewhere.example"])
    with serving(tmp_path, Api(), pair=pair) as server:
        device.configure(url=f"https://127.0.0.1:{server.port}")
        assert device("enroll").code == 78
    assert server.bytes_seen == 0


@pytest.mark.parametrize("portal", ["redirect instead of TLS", "web page", "proxy"])
def test_row_06_a_captive_portal_is_no_network_and_exits_75(device: Enrollee, tmp_path: Path, portal: str) -> None:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n"
    if portal == "web page":
        api = Api(script=[answer(200, b"<html>Welcome</html>", "text/html; charset=utf-8")])
        with device.asking(api):
            assert device("enroll").code == 75
        return
    with serving(tmp_path, raw(redirect), before_tls=raw(redirect)) as server:
        device.configure(url=f"https://127.0.0.1:{server.port}")
        if portal == "proxy":
            text = device.config.read_text()
            proxied = text.replace("[identity]", f'proxy = "http://127.0.0.1:{server.port}"\n[identity]')
            device.config.write_text(proxied)
        assert device("enroll").code == 75


def test_row_07_without_a_token_it_says_where_it_looked_and_exits_77(device: Enrollee) -> None:
    device.token.unlink()
    done = device("enroll")
    assert (done.code, done.answer["state"]) == (77, "needs-token")
    assert str(device.token) in done.said


@pytest.mark.parametrize("status", [401, 403])
def test_row_08_a_used_or_unknown_token_deletes_nothing_and_exits_77(device: Enrollee, status: int) -> None:
    with device.asking(Api(script=[answer(status)]), zone_id=""):
        done = device("enroll")
        key = (device.store / "pending" / "key.pem").read_bytes()
        assert (done.code, done.answer["state"]) == (77, "refused")
        assert device("enroll").code == 0  # with another token, for the same key
    assert device.key.read_bytes() == key


@pytest.mark.parametrize("refusals", [3, 99])
def test_row_09_a_token_made_just_now_is_tried_again_and_a_wrong_one_names_the_permission(
    tmp_path: Path, refusals: int
) -> None:
    waits: list[float] = []
    api = Api(script=[answer(403, FORBIDDEN)] * refusals)
    request = pem.signing_request(pem.new_key("p256"), name=NAME, subject={})
    with serving(tmp_path, api) as server:
        issuer = CloudflareIssuer(
            url=f"https://127.0.0.1:{server.port}",
            zone_id="zone",
            token="t",
            ca_file=str(authority().certificate_file),
            wait=waits.append,
        )
        if refusals == 3:
            issuer.issue(request, validity_days=1)
        else:
            with pytest.raises(Refused) as raised:
                issuer.issue(request, validity_days=1)
            assert (raised.value.exit_code, "SSL and Certificates" in raised.value.hint) == (77, True)
        issuer.close()
    assert waits == list(YOUNG_TOKEN[:refusals])
    assert api.posts <= 8


def test_row_10_a_rate_limit_says_when_to_come_again_and_exits_75(device: Enrollee) -> None:
    with device.asking(Api(script=[answer(429, retry_after="17")])):
        done = device("enroll")
    assert (done.code, "try again in 17 s" in done.said) == (75, True)


@pytest.mark.parametrize("status", [500, 503, 520, 525])
def test_row_11_a_failing_issuer_is_tried_later_and_exits_75(device: Enrollee, status: int) -> None:
    with device.asking(Api(script=[answer(status)])):
        assert device("enroll").code == 75


def test_row_12_pending_approval_keeps_the_key_shows_its_number_and_exits_75(device: Enrollee) -> None:
    with device.asking(Api(script=[answer(202, b'{"result": {}}', retry_after="1")] * 2)):
        done = device("enroll")
        number = pem.public_key_sha256(device.pending_request())
        assert (done.code, done.answer["state"]) == (75, "waiting")
        assert f"waiting for approval of the key {number}" in done.said
        assert device("enroll", "--wait", "20").code == 0
    request = pem.signing_request(device.key.read_bytes(), name=NAME, subject={})
    assert pem.public_key_sha256(request) == number


def test_row_13_a_refused_request_shows_code_and_message_suggests_rsa_and_exits_77(device: Enrollee) -> None:
    body = b'{"success": false, "errors": [{"code": 1400, "message": "key type not allowed"}]}'
    with device.asking(Api(script=[answer(400, body)])):
        done = device("enroll")
    assert done.code == 77
    assert "1400 key type not allowed" in done.said
    assert 'key_type = "rsa2048"' in done.said


def test_row_14_a_quota_shows_the_text_and_the_number_in_force_and_exits_77(device: Enrollee) -> None:
    api = Api(script=[answer(400, b'{"errors": [{"code": 1445, "message": "quota reached"}]}')])
    for _ in range(3):
        api.issue(pem.signing_request(pem.new_key("p256"), name="other", subject={}).decode())
    with device.asking(api):
        done = device("enroll")
    assert done.code == 77
    assert "1445 quota reached (the zone has 3 certificates in force)" in done.said


def test_row_15_a_lost_answer_exits_75_and_costs_no_second_certificate(device: Enrollee) -> None:
    api = Api()
    api.script = [api.lost]
    with device.asking(api):
        assert device("enroll").code == 75
        request = device.pending_request()
        assert device("enroll").code == 0
    assert (api.posts, api.active(request)) == (1, 1)


@pytest.mark.parametrize(
    "body", [b'{"result": {"id": "x"}}', b'{"result": {"certi', b'{"result": {"certificate": "<html>"}}', b"[]"]
)
def test_row_16_an_answer_without_a_certificate_switches_nothing_and_exits_65(device: Enrollee, body: bytes) -> None:
    with device.asking(Api(script=[answer(200, body)])):
        assert device("enroll").code == 65
        assert not device.cert.exists()
        assert device.pending_request()
        assert device("enroll").code == 0


def test_row_17_a_certificate_for_another_key_is_refused_with_both_hashes_and_exits_65(device: Enrollee) -> None:
    strange = pem.signing_request(pem.new_key("p256"), name=NAME, subject={})
    api = Api(sign=lambda _: authority().sign(strange))
    with device.asking(api):
        done = device("enroll")
    assert done.code == 65
    for request in (strange, device.pending_request()):
        assert pem.public_key_sha256(request)[:16] in done.said


@pytest.mark.parametrize("days", [30, 800])
def test_row_18_another_validity_is_taken_and_told_and_exits_0(device: Enrollee, days: int) -> None:
    with device.asking(Api(sign=signed_from(NOW, NOW + days * DAY))):
        done = device("enroll")
    assert (done.code, done.answer["changed"]) == (0, True)
    assert f"valid for {days} days, asked for 365" in done.said
    assert done.answer["days_left"] <= days  # it renews by the real dates


def test_row_19_a_certificate_that_begins_in_an_hour_is_taken_and_told_and_exits_0(device: Enrollee) -> None:
    with device.asking(Api(sign=signed_from(NOW + timedelta(hours=1), NOW + 366 * DAY))):
        done = device("enroll")
    assert (done.code, "this clock is behind the issuer's" in done.said) == (0, True)


def test_row_20_a_certificate_that_has_expired_on_arrival_exits_65(device: Enrollee) -> None:
    with device.asking(Api(sign=signed_from(NOW - 9 * DAY, NOW - DAY))):
        assert device("enroll").code == 65
    assert not device.cert.exists()


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_row_21_a_disk_that_cannot_be_written_leaves_the_old_pair_and_exits_73(disk: Disk, trouble: str) -> None:
    device = Enrollee(disk.path / "device")
    enrolled(device)
    before = device.key.read_bytes()
    api = Api()
    with device.asking(api):
        if trouble == "full":
            disk.fill()
        else:
            disk.remount("ro")
        assert device("enroll", "--force").code == 73
        assert (device.key.read_bytes(), api.posts) == (before, 0)
        if trouble == "read-only":
            disk.remount("rw")


def test_row_22_a_power_cut_leaves_the_old_pair_or_the_new_one(device: Enrollee) -> None:
    # here through the command line, at every fifth operation; test_enrollment.py and test_renewal.py cut at each
    enrolled(device)
    cuts = 0
    for at in range(1, 200, 5):
        cut = False
        with device.asking(Api()):
            try:
                with SWITCH.cut(device.store, at=at):
                    device("enroll", "--force")
            except PowerCut:
                cut = True
        assert device("identity", "verify", "--offline").code == 0, at
        if not cut:
            break
        cuts += 1
    assert cuts > 6


def test_row_23_a_key_that_may_not_be_read_is_told_with_path_owner_and_mode_and_exits_78() -> None:
    with TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        device = Enrollee(Path(made) / "device")
        enrolled(device)
        authority_file = Path(made) / "ca.pem"
        shutil.copy(authority().certificate_file, authority_file)
        device.configure(ca_file=authority_file)
        for path in (device.store, device.store / "gen", device.store / "gen" / "000001", device.key.parent):
            path.chmod(0o755)
        with as_nobody():
            done = device("identity", "verify", "--offline")
    assert (done.code, done.answer["state"]) == (78, "broken")
    assert "gen/000001/key.pem (mode 0600, owned by 0:0) cannot be read: Permission denied" in done.said


def test_row_24_a_pair_damaged_from_outside_gives_way_to_the_one_before_with_an_alarm(device: Enrollee) -> None:
    enrolled(device)
    before = device.key.read_bytes()
    with device.asking(Api()):
        assert device("enroll", "--force").code == 0
    device.key.write_bytes(pem.new_key("p256"))
    assert device("identity", "verify", "--offline").answer["state"] == "broken"
    done = device("renew")
    assert (done.code, device.key.read_bytes()) == (0, before)
    assert "identity damaged, the one before is used" in done.said
    assert device("identity", "verify", "--offline").code == 0


def test_row_25_a_second_enrollment_at_the_same_time_exits_75(device: Enrollee) -> None:
    with IdentityStore(device.store).lock():
        done = device("enroll")
    assert (done.code, "another enrollment is at work" in done.said) == (75, True)


def test_row_26_an_issuer_that_is_down_near_the_end_exits_75_and_warns_once(device: Enrollee) -> None:
    enrolled(device, Api(sign=signed_from(NOW - 60 * DAY, NOW + 5 * DAY)))
    device.configure(more='renew_url = "https://127.0.0.1:9"')
    first, second = device("renew"), device("renew")
    assert (first.code, second.code) == (75, 75)
    assert ("certificate ends" in first.said, "certificate ends" in second.said) == (True, False)
    assert first.answer["days_left"] == 4


@pytest.mark.parametrize("grace", [True, False])
def test_row_27_an_expired_pair_renews_where_the_issuer_allows_it_and_else_names_the_way_out(
    device: Enrollee, tmp_path: Path, grace: bool
) -> None:
    enrolled(device, Api(sign=signed_from(NOW - 60 * DAY, NOW + DAY)))
    text = authority().sign(
        pem.signing_request(device.key.read_bytes(), name=NAME, subject={}),
        not_before=NOW - 60 * DAY,
        not_after=NOW - DAY,
    )
    (device.store / "current" / "cert.pem").write_bytes(text)
    device.token.unlink()
    api = Api(script=[] if grace else [answer(403, FORBIDDEN)])
    (tmp_path / "ra").mkdir()
    with serving(tmp_path / "ra", api) as server:
        device.configure(more=f'renew_url = "https://127.0.0.1:{server.port}"')
        done = device("renew")
    assert done.code == (0 if grace else 77)
    if not grace:
        assert "expired on" in done.said
        assert "sudo sensor-agent enroll --force --token-file" in done.said


def rejected(device: Enrollee, tmp_path: Path, *steps: Step, **settings: bool) -> dict[str, object]:
    """What `identity verify` says of a shield that answers so."""
    enrolled(device)
    with serving(tmp_path, *steps, **settings) as server:  # type: ignore[arg-type]
        device.configure(shield=server.url)
        done = device("identity", "verify")
    assert (done.code, done.answer["state"]) == (77, "rejected")
    assert device.key.exists()
    return dict(done.answer["checks"][-1])


def test_row_28_a_revoked_certificate_is_kept_and_told_and_exits_77(device: Enrollee, tmp_path: Path) -> None:
    said = rejected(device, tmp_path, answer(403, b'{"error": "client_certificate_required"}'))
    assert "as one without a certificate: revoked, of another zone, not on its list" in str(said["saw"])


def test_row_29_a_403_that_is_not_about_certificates_says_so_with_the_ray(device: Enrollee, tmp_path: Path) -> None:
    blocked = answer(403, b"<html>Sorry, you have been blocked</html>", "text/html", cf_ray="8a-FRA")
    without_certificate = answer(403, b'{"error": "client_certificate_required"}')
    said = rejected(device, tmp_path, blocked, without_certificate)
    assert "a rule that is not about certificates" in str(said["saw"])
    assert "CF-Ray 8a-FRA" in str(said["saw"])


def test_row_30_a_tls_alert_with_a_sound_pair_is_a_refusal(device: Enrollee, tmp_path: Path) -> None:
    enrolled(device, Api())
    stranger = Authority.create(tmp_path)
    (device.store / "current" / "cert.pem").write_bytes(
        stranger.sign(pem.signing_request(device.key.read_bytes(), name=NAME, subject={}))
    )
    (tmp_path / "shield").mkdir()
    with serving(tmp_path / "shield", answer(200), client_ca=True, tls13=False) as server:
        device.configure(shield=server.url)
        done = device("identity", "verify")
    assert (done.code, done.answer["state"]) == (77, "rejected")
    assert "ALERT_UNKNOWN_CA" in done.said


def test_row_31_a_new_pair_that_the_shield_does_not_take_is_kept_back_and_tried_again(
    device: Enrollee, tmp_path: Path
) -> None:
    enrolled(device)
    old = ssl.PEM_cert_to_DER_cert(device.cert.read_text()[device.cert.read_text().index("-----BEGIN") :])
    taken = [old]
    (tmp_path / "shield").mkdir()
    api = Api()
    with (
        serving(tmp_path / "shield", refuses_all_but(lambda shown: shown in taken), client_ca=True) as shield,
        device.asking(api, shield=shield.url),
    ):
        done = device("enroll", "--force")
        assert (done.code, "does not take the new certificate yet" in done.said) == (75, True)
        assert parse(device.cert.read_bytes()) == parse(ssl.DER_cert_to_PEM_cert(old).encode())
        taken.append(ssl.PEM_cert_to_DER_cert(api.issued[0]["certificate"]))
        assert device("enroll", "--force").code == 0
    assert api.posts == 1  # it was the same certificate


def test_row_32_a_cloned_image_does_not_use_the_key_and_enrolls_with_a_token_of_its_own(device: Enrollee) -> None:
    put_board(device.root, serial="1000abcd", card="aaaa", machine="a" * 32)
    enrolled(device)
    before = device.key.read_bytes()
    put_board(device.root, serial="1000ef01", card="bbbb", machine="b" * 32)
    found = device("identity", "verify", "--offline")
    assert (found.code, found.answer["state"]) == (78, "cloned")
    token = device.token.read_text()
    device.token.unlink()
    assert device("enroll").code == 77
    assert device("renew").code == 78
    device.token.write_text(token)
    api = enrolled(device)
    assert device.key.read_bytes() != before
    assert device("identity", "verify", "--offline").answer["state"] == "active"
    assert api.issued


def test_row_33_a_card_in_another_board_is_told_bound_anew_and_goes_on(device: Enrollee) -> None:
    put_board(device.root, serial="1000abcd", card="aaaa", machine="a" * 32)
    enrolled(device)
    before = device.key.read_bytes()
    put_board(device.root, serial="1000ef01", card="aaaa", machine="a" * 32)
    found = device("identity", "verify", "--offline")
    assert (found.code, "another serial number than at enrollment" in found.said) == (0, True)
    done = device("renew")
    assert (done.code, device.key.read_bytes()) == (0, before)
    assert "another serial number" in done.said
    assert "another" not in device("identity", "verify", "--offline").said
    meta = json.loads((device.store / "current" / "meta.json").read_text())
    assert meta["issuer"] == "cloudflare"


def test_row_34_a_redirect_of_the_issuer_is_not_followed_and_exits_78(device: Enrollee, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with serving(tmp_path / "elsewhere", answer(200)) as elsewhere:
        step = answer(307, location=f"https://localhost:{elsewhere.port}/client_certificates")
        with device.asking(Api(script=[step])):
            done = device("enroll")
    assert (done.code, elsewhere.connections) == (78, 0)
    assert "a redirect, which could take the token elsewhere" in done.said


def test_row_35_a_token_that_others_may_read_is_used_and_warned_of(device: Enrollee) -> None:
    device.token.chmod(0o644)
    with device.asking(Api()):
        done = device("enroll")
    assert (done.code, "token can be read by others" in done.said) == (0, True)
    assert device.token.read_text().strip() not in done.said


def test_row_36_a_second_run_asks_nobody_leaves_the_token_and_exits_0(device: Enrollee) -> None:
    enrolled(device)
    before = device.key.read_bytes(), device.token.read_text()
    api = Api()
    with device.asking(api) as server:
        done = device("enroll")
    assert (done.code, done.answer["changed"], server.connections) == (0, False, 0)
    assert (device.key.read_bytes(), device.token.read_text()) == before
