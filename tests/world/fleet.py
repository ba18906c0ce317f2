"""Devices that want certificates of a registration authority, and plain requests to one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from world.visitors import Got, Pair, connection

from agent import pem
from agent.devshield.registration.desk import PATH
from agent.devshield.registration.office import RegistrationAuthority
from agent.enrollment import Credentials, Patience, Report, Seen, Wish, enroll, renew
from agent.errors import Refused
from agent.identity_store import IdentityStore
from agent.issuers import Issuer
from agent.issuers.cloudflare import CloudflareIssuer

NAME = "sensor-001.devices.example.com"


@dataclass
class Device:
    """A board with a store of its own, that the real enrollment runs on; `where` is the authority's."""

    directory: Path
    name: str
    where: Mapping[str, Any]

    @property
    def pair(self) -> Pair:
        return self.directory / "sensor.pem", self.directory / "sensor-key.pem"

    def enroll(self, token: str, *, force: bool = False, wait_seconds: float = 0.0) -> Report:
        """Ask for a certificate with the token; see `enrollment.enroll`."""
        issuer = CloudflareIssuer(url=self.where["url"], zone_id="", token=token, ca_file=self.where["ca_file"])
        wish = Wish(self.name, "p256", 365, {"O": "Example"}, *self.pair)
        report = Report()
        try:
            enroll(
                wish,
                IdentityStore(self.directory / "store"),
                lambda: issuer,
                patience=Patience(lambda: datetime.now(UTC), wait_seconds),
                report=report,
                force=force,
            )
        finally:
            issuer.close()  # urllib3 1.26 leaves its sockets to the garbage collector
        return report


def renewed(device: Device) -> Report:
    """What the real renewal makes of the device, with nothing to show but its certificate."""
    where = {"url": device.where["url"], "zone_id": "", "ca_file": device.where["ca_file"]}
    wish = Wish(device.name, "p256", 365, {}, *device.pair)
    report = Report()

    def no_token() -> Issuer:
        raise Refused("there is no token")

    renew(
        wish,
        IdentityStore(device.directory / "store"),
        Credentials("cloudflare", lambda pair: CloudflareIssuer(**where, pair=pair), no_token),
        patience=Patience(lambda: datetime.now(UTC)),
        report=report,
        force=True,
        probe=lambda _: Seen.ACCEPTED,
    )
    return report


def request_for(name: str = NAME) -> tuple[bytes, bytes]:
    """A new key and its request."""
    key = pem.new_key("p256")
    return key, pem.signing_request(key, name=name, subject={})


def call(
    office: RegistrationAuthority,
    method: str,
    csr: bytes | None = None,
    *,
    token: str = "",
    shown: Pair | None = None,
    path: str = PATH,
) -> Got:
    """One request to the authority, on a connection of its own."""
    to = connection(Path(office.where["ca_file"]), office.port, shown)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = None if csr is None else json.dumps({"csr": csr.decode(), "validity_days": 3650}).encode()
        to.request(method, path, body=body, headers=headers)
        answer = to.getresponse()
        return Got(answer.status, answer.headers, answer.read())
    finally:
        to.close()
