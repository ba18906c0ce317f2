"""`identity`: carried out and in by hand in every form, put back, shown, taken away."""

import base64
import json
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from world.crash import SWITCH, PowerCut
from world.enrollee import NAME, Api, Done, Enrollee
from world.identities import authority
from world.server import refuses_all_but, serving

from agent import pem
from agent.certificate import parse

NOW = datetime.now(UTC)
Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def device(tmp_path: Path) -> Enrollee:
    """A board whose certificates a person brings."""
    made = Enrollee(tmp_path / "device")
    made.configure(issuer="manual")
    return made


def text_of(key: Private, form: serialization.PrivateFormat, password: bytes = b"") -> bytes:
    """The key as PEM in that form."""
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, protection)


def certificate_of(key: Private, *, name: str = NAME, issuer: "tuple[str, Private] | None" = None) -> bytes:
    """A certificate for the key, by the tests' authority or by an issuer (name, key)."""
    if issuer is None:
        request = pem.signing_request(text_of(key, serialization.PrivateFormat.PKCS8), name=name, subject={})
        return authority().sign(request)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer[0])]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=30))
        .sign(issuer[1], hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def bring(device: Enrollee, certificate: bytes, key: bytes | None = None) -> Done:
    """`identity import`, with the texts in files."""
    (device.directory / "brought.pem").write_bytes(certificate)
    words = ["identity", "import", str(device.directory / "brought.pem")]
    if key is not None:
        (device.directory / "brought-key.pem").write_bytes(key)
        words += ["--key", str(device.directory / "brought-key.pem")]
    return device(*words)


def is_good(device: Enrollee) -> bool:
    """Whether the pair in force loads and is for this board."""
    return device("identity", "verify", "--offline").code == 0


def test_a_request_is_carried_out_and_its_certificate_in(device: Enrollee) -> None:
    out = device.directory / "out.csr"
    assert device("identity", "export-csr", str(out), as_json=False).code == 0
    assert device("identity", "show").answer["request"] == "keyed"
    assert device("identity", "export-csr", "-", as_json=False).said.startswith(out.read_text())  # the same key
    done = bring(device, authority().sign(out.read_bytes()))
    assert (done.code, done.answer["name"], done.answer["can_renew"]) == (0, NAME, False)
    assert is_good(device)
    assert device("identity", "show").answer["request"] is None


def test_enroll_with_nobody_to_ask_names_the_way_and_keeps_the_request(device: Enrollee) -> None:
    done = device("enroll")
    assert done.code == 77
    assert "identity export-csr OUT" in done.said
    assert bring(device, authority().sign(device.pending_request())).code == 0


def tutorial(certificate: bytes) -> bytes:
    """As the tutorial's perl leaves the answer: quotes gone, newlines expanded, all on the file."""
    answer = json.dumps({"success": True, "result": {"certificate": certificate.decode(), "csr": "x", "id": "y"}})
    return answer.replace("\\n", "\n").replace('"', "").encode()


FORMS = {
    "PEM": lambda text: text,
    "with CRLF": lambda text: text.replace(b"\n", b"\r\n"),
    "openssl's words before it": lambda text: b"subject=CN = x\nissuer=CN = y\n" + text,
    "JSON answer": lambda text: json.dumps({"result": {"certificate": text.decode()}}).encode(),
    "JSON answer with CRLF": lambda text: json.dumps({"certificate": text.decode().replace("\n", "\r\n")}).encode(),
    "the tutorial's sensor.pem": tutorial,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_certificate_is_taken_in_any_form(device: Enrollee, form: str) -> None:
    key = text_of(EC_KEY, serialization.PrivateFormat.PKCS8)
    done = bring(device, FORMS[form](certificate_of(EC_KEY)), key)
    assert (done.code, is_good(device)) == (0, True), done.said


@pytest.mark.parametrize(
    ("key", "form", "label"),
    [
        (RSA_KEY, serialization.PrivateFormat.TraditionalOpenSSL, b"BEGIN RSA PRIVATE KEY"),
        (EC_KEY, serialization.PrivateFormat.TraditionalOpenSSL, b"BEGIN EC PRIVATE KEY"),
        (EC_KEY, serialization.PrivateFormat.PKCS8, b"BEGIN PRIVATE KEY"),
        (RSA_KEY, serialization.PrivateFormat.PKCS8, b"BEGIN PRIVATE KEY"),
    ],
)
def test_a_key_is_taken_in_any_form_and_kept_private(
    device: Enrollee, key: Private, form: serialization.PrivateFormat, label: bytes
) -> None:
    text = text_of(key, form)
    assert label in text
    assert bring(device, certificate_of(key), b"Bag Attributes\n" + text.replace(b"\n", b"\r\n")).code == 0
    assert is_good(device)
    assert device.key.read_bytes() == text
    assert device.key.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_a_chain_is_taken_in_any_order_and_kept_leaf_first_without_its_root(
    device: Enrollee, order: tuple[int, int, int]
) -> None:
    root, middle = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    chain = [
        certificate_of(EC_KEY, issuer=("middle", middle)),
        certificate_of(middle, name="middle", issuer=("root", root)),
        certificate_of(root, name="root", issuer=("root", root)),
    ]
    text = b"".join(chain[place] for place in order)
    assert bring(device, text, text_of(EC_KEY, serialization.PrivateFormat.PKCS8)).code == 0
    kept = device.cert.read_bytes()
    assert kept[kept.index(b"-----BEGIN") :] == chain[0] + chain[1]
    assert is_good(device)


def test_key_and_certificate_may_come_in_one_file(device: Enrollee) -> None:
    text = text_of(EC_KEY, serialization.PrivateFormat.PKCS8)
    assert bring(device, text + certificate_of(EC_KEY)).code == 0
    assert is_good(device)
    assert b"PRIVATE" not in device.cert.read_bytes()


@pytest.mark.parametrize(
    ("certificate", "key", "code", "says"),
    [
        ("other", "plain", 65, "none of the certificates is for the given key"),
        ("own", "encrypted", 65, "openssl pkey -in KEY -out PLAIN"),
        ("own", "garbage", 78, "holds no PEM key"),
        ("own", "damaged", 65, "OpenSSL cannot open the key"),
        ("own", None, 78, "no key for this certificate is known here"),
        ("none", "plain", 65, "no PEM certificate"),
        ("expired", "plain", 65, "expired already"),
        ("a server's", "plain", 65, "may not authenticate a client"),
    ],
)
def test_what_does_not_belong_together_changes_nothing_and_is_named(
    device: Enrollee, certificate: str, key: str | None, code: int, says: str
) -> None:
    request = pem.signing_request(text_of(EC_KEY, serialization.PrivateFormat.PKCS8), name=NAME, subject={})
    certificates = {
        "own": certificate_of(EC_KEY),
        "other": certificate_of(RSA_KEY),
        "none": b"hello",
        "a server's": authority().sign(request, usage="server"),
        "expired": authority().sign(request, not_before=NOW - timedelta(9), not_after=NOW - timedelta(1)),
    }
    keys = {
        "plain": text_of(EC_KEY, serialization.PrivateFormat.PKCS8),
        "encrypted": text_of(EC_KEY, serialization.PrivateFormat.PKCS8, b"secret"),
        "garbage": b"hello",
        "damaged": b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(b"no key") + b"\n-----END PRIVATE KEY-----\n",
    }
    done = bring(device, certificates[certificate], keys[key] if key else None)
    assert (done.code, says in done.said) == (code, True), done.said
    assert not device.cert.is_symlink()
    assert not (device.store / "trial").exists()


def test_a_pair_that_works_stays_while_the_one_brought_is_not_yet_valid(device: Enrollee) -> None:
    request = pem.signing_request(text_of(EC_KEY, serialization.PrivateFormat.PKCS8), name=NAME, subject={})
    early = authority().sign(request, not_before=NOW + timedelta(10), not_after=NOW + timedelta(20))
    key = text_of(EC_KEY, serialization.PrivateFormat.PKCS8)
    assert bring(device, certificate_of(EC_KEY), key).code == 0
    before = device.cert.read_bytes()
    done = bring(device, early, key)
    assert (done.code, "not valid before" in done.said, device.cert.read_bytes()) == (75, True, before), done.said
    device("identity", "reset", as_json=False)
    assert bring(device, early, key).code == 0  # nothing is lost by it
    checks = device("identity", "verify", "--offline").answer["checks"]
    assert [
        (each["result"], "later than this clock" in each["saw"]) for each in checks if each["name"] == "validity"
    ] == [("warn", True)]


@pytest.mark.parametrize(("takes_old", "code"), [(True, 75), (False, 0)])
def test_a_pair_that_the_shield_takes_stays_while_it_refuses_the_one_brought(
    device: Enrollee, takes_old: bool, code: int
) -> None:
    old, new = certificate_of(EC_KEY), certificate_of(RSA_KEY)
    assert bring(device, old, text_of(EC_KEY, serialization.PrivateFormat.PKCS8)).code == 0
    taken = {ssl.PEM_cert_to_DER_cert(old.decode())} if takes_old else set()
    with serving(device.directory, refuses_all_but(taken.__contains__), client_ca=True) as shield:
        device.configure(issuer="manual", shield=shield.url)
        done = bring(device, new, text_of(RSA_KEY, serialization.PrivateFormat.PKCS8))
    assert done.code == code, done.said
    assert parse(device.cert.read_bytes()) == parse(old if takes_old else new)
    assert not (device.store / "trial").exists()


def test_an_import_that_is_cut_off_leaves_no_half(tmp_path: Path) -> None:
    key, certificate = text_of(EC_KEY, serialization.PrivateFormat.PKCS8), certificate_of(EC_KEY)
    for at in range(1, 200):
        device = Enrollee(tmp_path / str(at))
        device.configure(issuer="manual")
        (device.directory / "brought.pem").write_bytes(certificate + key)
        try:
            with SWITCH.cut(device.store, at=at):
                assert bring(device, certificate + key).code == 0
        except PowerCut:
            assert device("identity", "verify", "--offline").answer["state"] in {"missing", "active"}, at
            assert bring(device, certificate + key).code == 0, at
            assert is_good(device), at
            continue
        break
    assert at > 15


@pytest.mark.parametrize(("days_left", "code"), [(100, 0), (20, 77)])
def test_the_daily_renewal_leaves_the_key_of_an_exported_request_and_says_how_it_goes_on(
    device: Enrollee, days_left: int, code: int
) -> None:
    born = NOW - timedelta(days=365 - days_left)
    device("identity", "export-csr", str(device.directory / "1.csr"), as_json=False)
    old = authority().sign(device.pending_request(), not_before=born, not_after=born + timedelta(days=365))
    done = bring(device, old)
    assert done.code == 0
    assert "enroll" not in done.answer["steps"][-1]["detail"]
    device("identity", "export-csr", str(device.directory / "2.csr"), as_json=False)
    request = device.pending_request()
    done = device("renew")
    assert (done.code, "sudo sensor-agent identity import CERT" in done.said) == (code, True)
    assert "enroll --force" not in done.said
    assert device.pending_request() == request
    assert bring(device, authority().sign(request)).code == 0


def test_who_brings_certificates_by_hand_is_told_to_do_so_before_the_end(device: Enrollee) -> None:
    device("identity", "export-csr", str(device.directory / "1.csr"), as_json=False)
    certificate = device.directory / "1.pem"
    certificate.write_bytes(authority().sign(device.pending_request()))
    said = device("identity", "import", str(certificate), as_json=False).said
    assert "sudo sensor-agent identity export-csr OUT" in said
    assert "enroll --force" not in said


def test_rollback_puts_the_pair_before_in_force_and_has_an_end(tmp_path: Path) -> None:
    device = Enrollee(tmp_path / "device")
    api = Api()
    prints = []
    with device.asking(api):
        for _ in range(3):
            device("enroll", "--force")
            prints.append(parse(device.cert.read_bytes()).fingerprint_sha256)
    for expected in (prints[1], prints[0]):
        done = device("identity", "rollback")
        assert (done.code, done.answer["fingerprint_sha256"]) == (0, expected)
        assert is_good(device)
    done = device("identity", "rollback")
    assert (done.code, "no earlier pair" in done.said) == (78, True)
    assert parse(device.cert.read_bytes()).fingerprint_sha256 == prints[0]


def test_rollback_passes_over_a_pair_that_has_expired(tmp_path: Path) -> None:
    device = Enrollee(tmp_path / "device")
    with device.asking(Api()):
        device("enroll")
        device("enroll", "--force")
    request = pem.signing_request((device.store / "gen/000001/key.pem").read_bytes(), name=NAME, subject={})
    old = authority().sign(request, not_before=NOW - timedelta(9), not_after=NOW - timedelta(1))
    (device.store / "gen/000001/cert.pem").write_bytes(old)
    assert device("identity", "rollback").code == 78


def test_show_tells_everything_but_the_key(tmp_path: Path) -> None:
    device = Enrollee(tmp_path / "device")
    with device.asking(Api()):
        device("enroll")
    shown = device("identity", "show")
    says = parse(device.cert.read_bytes())
    assert shown.answer["fingerprint_sha256"] == says.fingerprint_sha256
    assert (shown.answer["issuer"], shown.answer["issuer_id"], shown.answer["can_renew"]) == (
        "cloudflare",
        "id-1",
        False,
    )
    assert shown.answer["renews_after"] == f"{says.renews_after:%Y-%m-%dT%H:%M:%SZ}"
    assert "PRIVATE" not in shown.said
    assert "cloudflare" in device("identity", "show", as_json=False).said


def test_show_of_a_board_that_was_never_enrolled_is_all_null(device: Enrollee) -> None:
    shown = device("identity", "show")
    assert (shown.code, shown.answer["state"], shown.answer["name"]) == (0, "missing", None)


def test_a_world_readable_key_is_warned_of_and_one_from_systemd_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Enrollee(tmp_path / "device")
    with device.asking(Api()):
        device("enroll")
    device.key.chmod(0o644)
    done = device("identity", "verify", "--offline")
    assert (done.code, [check["result"] for check in done.answer["checks"] if check["name"] == "key"]) == (0, ["warn"])
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "sensor.pem").write_bytes(device.cert.read_bytes())
    (credentials / "sensor-key.pem").write_bytes(device.key.read_bytes())
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert [check["name"] for check in device("identity", "verify", "--offline").answer["checks"]] == [
        "pair",
        "validity",
    ]


def test_reset_removes_every_key_and_nothing_of_somebody_else(tmp_path: Path) -> None:
    device = Enrollee(tmp_path / "device")
    with device.asking(Api()):
        device("enroll")
        device("enroll", "--force")
    device.configure(url="https://127.0.0.1:9")
    device("enroll", "--force")  # leaves a request under way
    assert device("identity", "reset", as_json=False).code == 0
    assert [path.name for path in device.store.iterdir()] == ["lock"]
    assert not device.cert.is_symlink()
    assert not device.key.is_symlink()
    assert device.token.exists()
    device.cert.write_bytes(certificate_of(EC_KEY))
    device.key.write_bytes(text_of(EC_KEY, serialization.PrivateFormat.PKCS8))
    assert "put there by somebody else" in device("identity", "reset", as_json=False).said
    assert is_good(device)


def test_a_reset_that_is_cut_off_goes_on_when_run_again(tmp_path: Path) -> None:
    for at in range(1, 200):
        device = Enrollee(tmp_path / str(at))
        with device.asking(Api()):
            device("enroll")
        try:
            with SWITCH.cut(device.directory, at=at + 1):  # the first one is the configuration's
                device("identity", "reset", as_json=False)
        except PowerCut:
            assert device("identity", "reset", as_json=False).code == 0, at
            assert not device.cert.is_symlink(), at
            assert not device.key.is_symlink(), at
            assert [path.name for path in device.store.iterdir()] == ["lock"], at
            continue
        break
    assert at > 8


def test_openssl_reads_the_exported_request(device: Enrollee) -> None:
    out = device.directory / "out.csr"
    device("identity", "export-csr", str(out), as_json=False)
    said = subprocess.run(
        ["openssl", "req", "-in", str(out), "-noout", "-verify", "-text"], capture_output=True, text=True, check=True
    ).stdout
    assert f"CN={NAME}" in said.replace(" ", "")  # OpenSSL 3.2 writes it without spaces
    assert f"DNS:{NAME}" in said
