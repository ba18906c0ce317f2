"""A device that is well in every layer, for a test to break one of them: board, pair, shield, and `check` to look."""

import contextlib
import io
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from world.boards import put_board
from world.enrollee import NAME, own_log
from world.server import Server, Step, serving

from agent import cli, pem
from agent.checks import Check
from agent.device import board
from agent.devshield.authority import Authority
from agent.devshield.i2c_wire import add_bus, chip_text, put_chip
from agent.devshield.onewire_tree import OneWireTree
from agent.devshield.shield import Shield

FREEZER, LARDER = "28-00000586475d", "28-000000000abc"
CONFIG = """
[device]
name = "{name}"
[uplink]
url = "{url}"
ca_file = "{ca_file}"
timeout_seconds = 2.0
proxy = "{proxy}"
[identity]
cert_file = "{home}/certs/sensor.pem"
key_file = "{home}/private/sensor-key.pem"
store_dir = "{home}/identity"
[enroll]
issuer = "{issuer}"
url = "{issuer_url}"
zone_id = "{zone_id}"
token_file = "{home}/token"
[spool]
path = "{spool}"
"""
ONE_WIRE = '[[sensors]]\nname = "freezer"\ndriver = "ds18b20"\nid = "28-00000586475d"\n'
SECOND = '[[sensors]]\nname = "larder"\ndriver = "ds18b20"\nid = "28-000000000abc"\n'
I2C = '[[sensors]]\nname = "room"\ndriver = "tmp102"\n'


class Patient:
    """Files below a directory; the shield is somebody else's. Breaking a layer is writing one of the files."""

    def __init__(self, home: Path, shield: Shield) -> None:
        self.home, self.shield, self.root = home, shield, home / "root"
        self.authority = Authority.open(shield.ca_file.parent)
        self.config = home / "config.toml"
        self.cert, self.key = home / "certs/sensor.pem", home / "private/sensor-key.pem"
        self.store, self.token, self.spool = home / "identity", home / "token", home / "state/spool.db"
        self.values = {"name": NAME, "url": shield.url, "ca_file": str(shield.ca_file), "issuer": "cloudflare"}
        self.values |= {
            "issuer_url": shield.api_url,
            "home": str(home),
            "spool": str(self.spool),
            "proxy": "",
            "zone_id": "zone",
        }
        self.sensors = ONE_WIRE + I2C
        for directory in (self.cert.parent, self.key.parent, self.spool.parent):
            directory.mkdir(parents=True)
        self.tree = OneWireTree(self.root)
        self.tree.add(FREEZER, -18.0)
        add_bus(self.root)
        self.chip(chip_text("word", {"00": "1580", "01": "60a0"}))
        put_board(self.root, serial="1000abcd", card="aaaa", machine="a" * 32)
        self.put("run/systemd/timesync/synchronized")
        self.certify(shield.issued.issue(self.request(), validity_days=365).fields["certificate"])

    def request(self) -> bytes:
        """The signing request of a key made now."""
        self.key.write_bytes(pem.new_key("p256"))
        self.key.chmod(0o600)
        return pem.signing_request(self.key.read_bytes(), name=NAME, subject={})

    def certify(self, certificate: str) -> None:
        """Put the certificate in force, bound to the board as it is."""
        self.cert.write_bytes(board(self.root).line() + certificate.encode())

    def certified(self, begin: datetime, end: datetime, by: Authority | None = None) -> None:
        """Put a certificate of those dates in force, of the shield's authority or of another."""
        signed = (by or self.authority).sign(self.request(), not_before=begin, not_after=end)
        self.certify(signed.decode())

    def put(self, name: str, text: str = "") -> Path:
        """A file of the board."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def chip(self, text: str) -> None:
        """What is at 0x48 of i2c-1."""
        put_chip(self.root, 0x48, text)

    @contextlib.contextmanager
    def facing(self, *steps: Step, key: str = "url", **settings: Any) -> Iterator[Server]:
        """With another server in place of the shield's URL, or of the one that `key` names."""
        directory = self.home / "server"
        directory.mkdir()
        settings.setdefault("pair", self.authority.issue_server(["127.0.0.1"]))
        with serving(directory, *steps, **settings) as server:
            self.values[key] = server.url
            yield server

    def check(self, *words: str) -> list[Check]:
        """What `check` says."""
        if not self.config.exists():
            self.config.write_text(CONFIG.format(**self.values) + self.sensors)
        out = io.StringIO()
        with contextlib.redirect_stdout(out), own_log():
            cli.main(["--config", str(self.config), "--root", str(self.root), "check", "--json", *words])
        found: list[dict[str, Any]] = json.loads(out.getvalue())["checks"]
        return [Check(**each) for each in found]
