"""The demo's story: what the system is for, told by the agent itself in nine steps, each with what it proves."""

import http.client
import json
import ssl
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from agent.devshield.accepted import disorder
from agent.devshield.stage import DEVICE, NotHeld, Stage

OUTAGE: Final = (0.0, -10.125, 85.0)  # °C: exactly zero, a negative, and the value that a DS18B20 wakes up with
RECENT: Final = 5

Step = tuple[str, Callable[[Stage], tuple[str, str]]]


def tell(stage: Stage) -> Iterator[tuple[str, str, str]]:
    """Title, what happened, and what that proves, of each step as it is done. Raises NotHeld where one fails."""
    for title, step in STEPS:
        happened, proves = step(stage)
        yield title, happened, proves


def start(stage: Stage) -> tuple[str, str]:
    stage.start_shield()
    return (
        f"a certificate authority of our own, and a shield at {stage.where['shield']} that trusts it alone",
        "everything runs on loopback; this stands in for Cloudflare, it is not Cloudflare",
    )


def bare_post(stage: Stage) -> tuple[str, str]:
    status, _ = request(stage, "POST", b'{"temperature": "21.5", "time": "2026-01-01T00:00:00Z"}', pair=False)
    hold(status == 403, f"the POST without a certificate was answered {status}, not 403")
    return "a POST without a certificate: 403", "without a certificate nothing gets in"


def enroll(stage: Stage) -> tuple[str, str]:
    answer = stage.agent("enroll")
    hold(answer["changed"] and answer["name"] == DEVICE, f"enroll answered {answer}")
    key = Path(stage.pair()[1])
    mode = stat.S_IMODE(key.stat().st_mode)
    hold(mode == 0o600, f"the key's mode is {mode:04o}")
    again = stage.agent("enroll")
    hold(not again["changed"], "enrolling twice made a second certificate")
    return (
        f"sensor-agent enroll: key made here (mode {mode:04o}), request sent, certificate for {DEVICE} stored;"
        f" again: already enrolled",
        "the key never leaves the device, and running it twice costs nothing",
    )


def read(stage: Stage) -> tuple[str, str]:
    stage.start_daemon()
    stage.until("the first readings", lambda: {"-18", "21.5"} <= temperatures(stage))
    return (
        "sensor-agent run: -18 °C from the DS18B20's nine bytes, 21.5 °C from the TMP102 over I2C: 201, 201",
        "the drivers see what a Pi's would: the kernel's own file format, and ioctls under smbus2",
    )


def outage(stage: Stage) -> tuple[str, str]:
    stage.stop_shield()
    stage.until("the line going down", lambda: stage.status()["uplink"]["state"] == "backoff")
    for celsius in OUTAGE:
        stage.freezer(celsius)
        stage.until(f"{celsius} °C being read", partial(reads, stage, celsius))
    pending = stage.status()["spool"]["pending"]
    hold(pending >= 2 * len(OUTAGE), f"only {pending} readings are pending")
    return (
        f"the shield is gone; 0, -10.125 and 85 °C are read meanwhile; {pending} readings wait in the spool",
        "sampling does not care about the network, and what was read is on disk",
    )


def drain(stage: Stage) -> tuple[str, str]:
    before = len(stage.accepted())
    stage.start_shield()
    stage.until("the spool being drained", lambda: stage.status()["spool"]["pending"] == 0 and online(stage))
    got = stage.accepted()
    in_order(got)
    late = [each["temperature"] for each in got[before:]]
    missing = {"0", "-10.125", "85"} - set(late)
    hold(not missing, f"{missing} never arrived")
    return (
        f"the shield is back: {len(late)} readings drained, oldest first, among them 0, -10.125 and 85",
        "an outage delays readings and loses none, not even zero",
    )


def recent(stage: Stage) -> tuple[str, str]:
    status, body = request(stage, "GET")
    shown = json.loads(body)
    hold(status == 200 and len(shown) == RECENT, f"the GET was answered {status}: {body[:200]!r}")
    known = [(each["temperature"], each["time"]) for each in stage.accepted()]
    hold(all((each["temperature"], each["time"]) in known for each in shown), "the GET shows what was never sent")
    listed = ", ".join(f"{each['temperature']} at {each['time'][11:19]}" for each in shown)
    return f"GET: {listed}", "a reader with a certificate sees the five most recent, newest first"


def revoke(stage: Stage) -> tuple[str, str]:
    serial = stage.status()["identity"]["fingerprint_sha256"]
    revoke_certificate(stage, serial)
    stage.until("the refusal", lambda: stage.status()["uplink"]["state"] == "hold")
    kept = stage.until("readings being kept", lambda: stage.status()["spool"]["pending"] >= 2 and stage.status())
    problem = kept["problems"][0]
    hold(kept["spool"]["set_aside"] == 0, "a refused device's readings were set aside")
    return (
        f"the certificate is revoked: 403; {kept['spool']['pending']} readings are kept. status says: {problem['what'][:60]}",
        f"a refused device loses nothing, and is told the way out: {problem['fix']}",
    )


def renew(stage: Stage) -> tuple[str, str]:
    old = stage.status()["identity"]["fingerprint_sha256"]
    answer = stage.agent("enroll", "--force")
    hold(answer["changed"] and answer["fingerprint_sha256"] != old, f"enroll --force answered {answer}")
    stage.until("the new certificate being used", lambda: online(stage) and stage.status()["spool"]["pending"] == 0)
    got = stage.accepted()
    in_order(got)
    hold(stage.status()["spool"]["dropped"] == 0, "readings were dropped")
    return (
        f"sensor-agent enroll --force: a new key and certificate, taken up without a restart; all {len(got)} readings are there",
        "a device heals without a visit, and not one reading was lost, doubled or reordered",
    )


STEPS: Final[tuple[Step, ...]] = (
    ("A shield", start),
    ("No certificate, no entry", bare_post),
    ("Enrollment", enroll),
    ("Readings", read),
    ("The shield goes away", outage),
    ("The shield returns", drain),
    ("A reader looks", recent),
    ("The certificate is revoked", revoke),
    ("Enrolled again", renew),
)


def in_order(got: Sequence[dict[str, Any]]) -> None:
    """That each sensor's times go on, and no reading came twice."""
    wrong = disorder(got)
    hold(not wrong, wrong)


def hold(true: object, otherwise: str) -> None:
    """Raise NotHeld with what was seen instead, unless it is true."""
    if not true:
        raise NotHeld(otherwise)


def temperatures(stage: Stage) -> set[str]:
    """Every temperature that has arrived."""
    return {each["temperature"] for each in stage.accepted()}


def reads(stage: Stage, celsius: float) -> bool:
    """Whether that is what the daemon read from the freezer last."""
    return any(each["sensor"] == "freezer" and each["celsius"] == celsius for each in stage.status()["sensors"])


def online(stage: Stage) -> bool:
    """Whether the daemon says so."""
    return bool(stage.status()["uplink"]["state"] == "online")


def request(stage: Stage, method: str, body: bytes | None = None, *, pair: bool = True) -> tuple[int, bytes]:
    """Status and body of one request to the shield, with the device's certificate or with none."""
    context = ssl.create_default_context(cafile=stage.where["ca_file"])
    if pair:
        context.load_cert_chain(*stage.pair())
    return _ask(stage.where["shield"], method, body, context, {"Content-Type": "application/json"})


def revoke_certificate(stage: Stage, fingerprint: str) -> None:
    """Revoke the certificate through the API, as an operator would."""
    context = ssl.create_default_context(cafile=stage.where["ca_file"])
    token = Path(stage.where["token_file"]).read_text().strip()
    base = f"{stage.where['api']}/zones/{stage.where['zone_id']}/client_certificates"
    headers = {"Authorization": f"Bearer {token}"}
    status, body = _ask(base, "GET", None, context, headers)
    listed = json.loads(body)["result"] if status == 200 else []
    found = next((each["id"] for each in listed if each["fingerprint_sha256"] == fingerprint), None)
    hold(found, f"the API does not list the device's certificate (HTTP {status})")
    status, body = _ask(f"{base}/{found}", "DELETE", None, context, headers)
    hold(status == 200, f"the revocation was answered {status}: {body[:200]!r}")


def _ask(
    url: str, method: str, body: bytes | None, context: ssl.SSLContext, headers: dict[str, str]
) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPSConnection(parts.netloc, timeout=5, context=context)
    try:
        connection.request(method, parts.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
